/* licorne/licorne.h — the whole public interface in one include. */
#pragma once
#include <licorne/api.h>
#include <licorne/app.h>
#include <licorne/arena.h>
#include <licorne/error.h>
#include <licorne/log.h>
#include <licorne/module.h>
#include <licorne/request.h>
#include <licorne/response.h>
#include <licorne/script.h>
#include <licorne/slice.h>
#include <licorne/tls.h>
