/* worker/fault.h — why a request is refused, in the words that Gunicorn's users search for. */
#pragma once
#include <licorne/slice.h>

#include <stdbool.h>

/* What to tell the client; status 0: nothing is wrong. */
struct lc_fault {
    int status;
    const char *reason;
    const char *lead; /* what the page says before the text, which it then quotes */
    const char *page; /* what it says instead of the text                         */
    char text[512];
};

/* Each returns false, so that `return lc_fault_set(...)` reads well. The first fault counts. */
bool lc_fault_set(struct lc_fault *fault, int status, const char *reason,
                  const char *format, ...) __attribute__((format(printf, 4, 5)));

/* For the fault that was set just now: the log has the text alone. The lead may be empty. */
bool lc_fault_lead(struct lc_fault *fault, const char *lead);

/* The same: the text is for the log alone, and the page says this. */
bool lc_fault_page(struct lc_fault *fault, const char *page);

/* 400; `format` has one %s, for `what` in Python's repr form: 'a\r\x1b'. */
bool lc_fault_bad(struct lc_fault *fault, const char *format, struct lc_slice what);

/* The same for a field name, which is shown in upper case. */
bool lc_fault_bad_name(struct lc_fault *fault, const char *format, struct lc_slice name);

/* 431: which limit of the head was passed. */
bool lc_fault_limit(struct lc_fault *fault, const char *what);

/* What the page says. */
void lc_fault_page_text(char *out, size_t room, const struct lc_fault *fault);

/* Python's repr, cut to fit `room`. */
void lc_fault_repr(char *out, size_t room, struct lc_slice text);
