#include <licorne/licorne.h>

LC_MODULE(.name = "empty");
