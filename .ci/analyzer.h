/* Included by clang-tidy before every file: what it cannot see from one file alone, that these
 * always return -1, so that `return error_set(…)` ends no path with an unset output. */
#include "error.h"

#define error_set(...)   (error_set(__VA_ARGS__), -1)
#define error_errno(...) (error_errno(__VA_ARGS__), -1)
#define error_wrap(...)  (error_wrap(__VA_ARGS__), -1)
