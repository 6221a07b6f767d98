# Finds llhttp as the target llhttp::llhttp: its own CMake package, pkg-config, or the C sources
# that Debian 12 and Ubuntu 24.04 ship in node-llhttp (built here as a static library).
find_package(llhttp CONFIG QUIET)
if(TARGET llhttp::llhttp_shared)
  add_library(llhttp::llhttp ALIAS llhttp::llhttp_shared)
  set(Llhttp_HOW "library, CMake package")
elseif(TARGET llhttp::llhttp_static)
  add_library(llhttp::llhttp ALIAS llhttp::llhttp_static)
  set(Llhttp_HOW "static library, CMake package")
else()
  pkg_check_modules(LLHTTP QUIET IMPORTED_TARGET libllhttp)
  if(TARGET PkgConfig::LLHTTP)
    add_library(llhttp::llhttp ALIAS PkgConfig::LLHTTP)
    set(Llhttp_HOW "library, pkg-config")
  else()
    find_path(Llhttp_SOURCES llhttp.c PATHS /usr/share/llhttp NO_DEFAULT_PATH)
    find_path(Llhttp_INCLUDE llhttp.h PATHS /usr/share/include/llhttp /usr/include)
    if(Llhttp_SOURCES AND Llhttp_INCLUDE)
      add_library(lc_llhttp STATIC ${Llhttp_SOURCES}/api.c ${Llhttp_SOURCES}/http.c
                                   ${Llhttp_SOURCES}/llhttp.c)
      target_include_directories(lc_llhttp SYSTEM PUBLIC ${Llhttp_INCLUDE})
      target_compile_options(lc_llhttp PRIVATE -O2 -w)
      set_target_properties(lc_llhttp PROPERTIES POSITION_INDEPENDENT_CODE ON
                                                 C_VISIBILITY_PRESET hidden)
      add_library(llhttp::llhttp ALIAS lc_llhttp)
      set(Llhttp_HOW "built from ${Llhttp_SOURCES}")
    endif()
  endif()
endif()
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(
  Llhttp REQUIRED_VARS Llhttp_HOW
  REASON_FAILURE_MESSAGE "install libllhttp-dev, or node-llhttp on Debian 12")
