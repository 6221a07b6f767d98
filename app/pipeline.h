/* app/pipeline.h — the way every request takes: middlewares, router, auth, controller.
 *
 * A worker has one pipeline, made at boot from its application. */
#pragma once
#include <licorne/app.h>
#include <stdbool.h>

struct lc_config;
struct lc_error;
struct lc_pipeline;
struct lc_request;

/* Loads the application that `config->app` names: "module:attr" through the Python plugin, a path
 * that ends in .so as a native module. NULL and `err` (LC_E_BOOT, LC_E_APP_LOAD, LC_E_CONFIG). */
struct lc_pipeline *lc_pipeline_create(const struct lc_config *config,
                                       struct lc_error *err);
/* For the setting `reload`: a pipeline whose application could not be loaded, and which answers
 * every request with `text`. */
struct lc_pipeline *lc_pipeline_create_broken(const struct lc_config *config,
                                              const char *text, struct lc_error *err);
bool lc_pipeline_is_broken(const struct lc_pipeline *pipeline);

/* From now on browsers get `text` (why the changed application cannot be loaded), while everybody
 * else is served as before. */
void lc_pipeline_show(struct lc_pipeline *pipeline, const char *text);

/* Names the files that the application consists of, as far as they were not named before. */
void lc_pipeline_sources(struct lc_pipeline *pipeline,
                         void (*each)(void *owner, const char *path), void *owner);

/* Log files were moved away: the application opens its own anew. */
void lc_pipeline_reopen_files(struct lc_pipeline *pipeline);
void lc_pipeline_destroy(struct lc_pipeline *pipeline);

/* Runs the request through all steps. The response may be complete when this returns, or later
 * (request->is_later). The request must outlive this call, also when the response ends meanwhile:
 * what answered it still looks at it. The same holds for lc_pipeline_resume. */
void lc_pipeline_start(struct lc_pipeline *pipeline, struct lc_request *request);

/* The client caught up or has gone: a request that was LATER goes on. */
void lc_pipeline_resume(struct lc_pipeline *pipeline, struct lc_request *request);

/* Whether the application wants to be called by several threads. Then each of them calls
 * thread_start first and thread_end last, and the two others around its requests; start and
 * resume are called between these only. -1 with `err` when the thread cannot be used. */
bool lc_pipeline_has_threads(const struct lc_pipeline *pipeline);
int lc_pipeline_thread_start(struct lc_pipeline *pipeline, struct lc_error *err);
void lc_pipeline_thread_turn_start(struct lc_pipeline *pipeline);
void lc_pipeline_thread_turn_end(struct lc_pipeline *pipeline);
void lc_pipeline_thread_end(struct lc_pipeline *pipeline);

/* About every second, and when a signal has come: what the application's language has put off may
 * run. True: the application wants this process to end. */
bool lc_pipeline_attend(struct lc_pipeline *pipeline);

/* The loop is about to sleep. Cheap when nothing was called in this turn. */
void lc_pipeline_turn_end(struct lc_pipeline *pipeline);
