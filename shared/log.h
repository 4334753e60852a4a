/* The log of a long-lived process: `time level module task=12 attempt=31 text`, one
 * line a boundary crossed. No prompts, no secrets, nothing raw from outside. */
#ifndef PLEACH_LOG_H
#define PLEACH_LOG_H

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

/* Appends to `file` (created 0600), or to stderr when NULL. PLEACH_LOG=debug|info|warn|error
 * sets the level; info without it. */
void log_open(const char *file);
/* Begins a log anew when it is long (8 MiB); what it held becomes NAME.1. A log that we opened is
 * looked after by log_write; one that was opened for several processes, by one of them. */
void log_rotate(int fd);
void log_write(enum log_level level, const char *module, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#define log_debug(...) log_write(LOG_DEBUG, __VA_ARGS__)
#define log_info(...)  log_write(LOG_INFO, __VA_ARGS__)
#define log_warn(...)  log_write(LOG_WARN, __VA_ARGS__)
#define log_error(...) log_write(LOG_ERROR, __VA_ARGS__)

#endif
