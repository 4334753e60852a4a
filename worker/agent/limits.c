/* Reading rate limits. Everything here is text from an agent: numbers are bounded, a time that is
 * past or too far away is none, and no text is longer than what is looked at. */
#include "limits.h"

#include <ctype.h>
#include <math.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "jsonl.h"
#include "mem.h"

#define TEXT_MAX    4096
#define PATTERN_MAX 1000

/* A wait from now on; 0 where it cannot be meant. */
static int64_t after(double ms, int64_t now_ms)
{
	if (!(ms > 0) || !isfinite(ms))
		return 0;
	return now_ms + (ms < (double)LIMITS_WAIT_MAX_MS ? (int64_t)ms + 1 : LIMITS_WAIT_MAX_MS);
}

/* A moment; 0 where it is past. */
static int64_t at(double ms, int64_t now_ms)
{
	return isfinite(ms) ? after(ms - (double)now_ms, now_ms) : 0;
}

/* A plain decimal number at the start: neither hexadecimal nor "nan". */
static bool number(const char **text, double *out)
{
	size_t len = strspn(*text, "0123456789.");
	_cleanup_free_ char *digits = xstrndup(*text, len < 32 ? len : 32);
	char *end;

	if (!isdigit((unsigned char)**text))
		return false;
	*out = strtod(digits, &end);
	*text += end - digits;
	return true;
}

static int64_t epoch(const char *text, int64_t now_ms)
{
	double n;

	if (!number(&text, &n))
		return 0;
	return at(n > 1e11 ? n : n * 1000, now_ms);
}

static int64_t iso(const char *text, int64_t now_ms)
{
	struct tm tm = {0};
	const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	int hours, minutes;
	int64_t seconds;

	if (!rest)
		return 0;
	if (*rest == '.') {
		rest++;
		rest += strspn(rest, "0123456789");
	}
	seconds = (int64_t)timegm(&tm);
	if ((*rest == '+' || *rest == '-') && sscanf(rest + 1, "%2d:%2d", &hours, &minutes) == 2)
		seconds -= (*rest == '+' ? 1 : -1) * (int64_t)(hours * 3600 + minutes * 60);
	return at((double)seconds * 1000, now_ms);
}

/* "3pm", "3:05 PM", "15:05": the next time that the clock here shows it. */
static int64_t clock_time(const char *text, int64_t now_ms)
{
	time_t now = (time_t)(now_ms / 1000), then;
	int hours, minutes = 0, used = 0;
	struct tm tm;

	if (sscanf(text, "%2d%n", &hours, &used) != 1 || hours < 0)
		return 0;
	text += used;
	if (*text == ':' && sscanf(text, ":%2d%n", &minutes, &used) == 1)
		text += used;
	text += strspn(text, " ");
	if (strncasecmp(text, "am", 2) == 0 || strncasecmp(text, "pm", 2) == 0) {
		if (hours < 1 || hours > 12)
			return 0;
		hours = hours % 12 + (tolower((unsigned char)*text) == 'p' ? 12 : 0);
	}
	if (hours > 23 || minutes < 0 || minutes > 59 || !localtime_r(&now, &tm))
		return 0;
	tm.tm_hour = hours;
	tm.tm_min = minutes;
	tm.tm_sec = 0;
	tm.tm_isdst = -1;
	then = mktime(&tm);
	if (then <= now) {
		tm.tm_mday++;
		tm.tm_hour = hours;
		tm.tm_min = minutes;
		tm.tm_isdst = -1;
		then = mktime(&tm);
	}
	return at((double)then * 1000, now_ms);
}

/* "2 hours 5 minutes", "34.5s", "1h30m", "250ms", in milliseconds; a bare number is seconds. */
static double duration(const char *text)
{
	static const struct {
		const char *word;
		double ms;
	} units[] = {{"ms", 1}, {"mi", 6e4}, {"d", 864e5}, {"h", 36e5}, {"m", 6e4}, {"s", 1e3}};
	double ms = 0, n;

	for (;;) {
		size_t i = 0;

		text += strspn(text, " ,");
		if (strncasecmp(text, "and ", 4) == 0)
			text += 4;
		if (!number(&text, &n))
			return ms;
		text += strspn(text, " ");
		while (i < ARRAY_LEN(units) &&
		       strncasecmp(text, units[i].word, strlen(units[i].word)) != 0)
			i++;
		if (i == ARRAY_LEN(units))
			return ms > 0 ? ms : n * 1000;
		ms += n * units[i].ms;
		while (isalpha((unsigned char)*text))
			text++;
	}
}

int64_t limits_until(const char *word, const char *text, int64_t now_ms)
{
	double n;

	text += strspn(text, " \t");
	if (strcmp(word, "seconds") == 0)
		return number(&text, &n) ? after(n * 1000, now_ms) : 0;
	if (strcmp(word, "minutes") == 0)
		return number(&text, &n) ? after(n * 60000, now_ms) : 0;
	if (strcmp(word, "epoch") == 0)
		return epoch(text, now_ms);
	if (strcmp(word, "clock") == 0)
		return clock_time(text, now_ms);
	if (strcmp(word, "iso") == 0)
		return iso(text, now_ms);
	return 0;
}

int64_t limits_sentence(const char *text, int64_t now_ms)
{
	static const char *const begins[] = {"try again", "retry", "resets", "reset", "available"};
	const char *bar = strchr(text, '|');
	int64_t until;

	if (bar && isdigit((unsigned char)bar[1]) && (until = epoch(bar + 1, now_ms)))
		return until;
	for (size_t i = 0; i < ARRAY_LEN(begins); i++) {
		const char *from = strcasestr(text, begins[i]);

		if (!from)
			continue;
		from += strlen(begins[i]);
		from += strspn(from, " :-");
		for (size_t skip = 0; skip < 3; skip++) {
			static const char *const fill[] = {"after", "in", "at"};

			if (strncasecmp(from, fill[skip], strlen(fill[skip])) == 0 &&
			    from[strlen(fill[skip])] == ' ')
				from += strlen(fill[skip]) + 1;
		}
		from += strspn(from, " :");
		until = iso(from, now_ms);
		if (!until && (strspn(from, "0123456789") <= 2) &&
		    (from[strspn(from, "0123456789")] == ':' ||
		     strncasecmp(from + strspn(from, "0123456789 "), "am", 2) == 0 ||
		     strncasecmp(from + strspn(from, "0123456789 "), "pm", 2) == 0))
			until = clock_time(from, now_ms);
		if (!until)
			until = after(duration(from), now_ms);
		if (until)
			return until;
	}
	return 0;
}

bool limits_of_service(const char *text, int status, int64_t now_ms, struct limits_found *out)
{
	static const char words[] =
	    "(^|[^0-9])(429|529)([^0-9]|$)|rate.?limit|too many requests|overloaded"
	    "|(usage|session|weekly|hour|request|opus|sonnet) limit|hit your limit"
	    "|quota|resource.?exhausted";
	_cleanup_free_ char *part = xstrndup(text, strnlen(text, TEXT_MAX));
	bool found = status == 429 || status == 503 || status == 529;
	regex_t regex;

	if (!found) {
		if (regcomp(&regex, words, REG_EXTENDED | REG_ICASE | REG_NOSUB) != 0)
			return false;
		found = regexec(&regex, part, 0, NULL, 0) == 0;
		regfree(&regex);
	}
	if (found)
		out->until = limits_sentence(part, now_ms);
	return found;
}

static bool match_one(const json_t *pattern, const char *text, int64_t now_ms,
                      struct limits_found *out)
{
	const char *match = json_text(pattern, "match"), *word = json_text(pattern, "until");
	regmatch_t groups[2];
	regex_t regex;
	bool found;

	if (!match || strlen(match) > PATTERN_MAX ||
	    regcomp(&regex, match, REG_EXTENDED | REG_ICASE) != 0)
		return false;
	found = regexec(&regex, text, 2, groups, 0) == 0;
	if (found && word && regex.re_nsub >= 1 && groups[1].rm_so >= 0) {
		_cleanup_free_ char *part =
		    xstrndup(text + groups[1].rm_so, (size_t)(groups[1].rm_eo - groups[1].rm_so));

		out->until = limits_until(word, part, now_ms);
	} else if (found) {
		out->until = 0;
	}
	regfree(&regex);
	return found;
}

bool limits_match(const json_t *patterns, const char *text, int64_t now_ms,
                  struct limits_found *out)
{
	size_t len = strlen(text);
	_cleanup_free_ char *part =
	    xstrdup(len > TEXT_MAX ? text + (len - TEXT_MAX) : text); /* the end says most */
	const json_t *pattern;
	bool found = false;
	char *save = NULL;
	size_t i;

	if (!json_array_size(patterns))
		return false;
	for (char *line = strtok_r(part, "\r\n", &save); line; line = strtok_r(NULL, "\r\n", &save))
		json_array_foreach ((json_t *)patterns, i, pattern)
			if (match_one(pattern, line, now_ms, out)) {
				if (!out->until)
					out->until = limits_sentence(line, now_ms);
				found = true;
				break;
			}
	return found;
}
