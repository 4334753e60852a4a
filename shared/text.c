/* Text: UTF-8, safe display, names, times, durations. */
#include "text.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "error.h"
#include "mem.h"

#define MARKS_MAX    4 /* combining marks shown on one letter: more of them cover other lines */
#define DURATION_MAX 1e12
#define TIME_MS_MAX  253402300799999 /* the years 0 to 9999: what RFC 3339 can say */
#define TIME_MS_MIN  (-62167219200000)

/* Decodes one UTF-8 sequence. Returns its length, 0 when it is broken. */
static size_t utf8_decode(const unsigned char *p, size_t len, uint32_t *out)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t need;
	uint32_t c;

	if (p[0] < 0x80) {
		*out = p[0];
		return 1;
	}
	if (p[0] >= 0xc2 && p[0] <= 0xdf)
		need = 2;
	else if ((p[0] & 0xf0) == 0xe0)
		need = 3;
	else if (p[0] >= 0xf0 && p[0] <= 0xf4)
		need = 4;
	else
		return 0;
	if (len < need)
		return 0;
	c = p[0] & (0xffu >> (need + 1));
	for (size_t i = 1; i < need; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3fu);
	}
	if (c < least[need] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*out = c;
	return need;
}

bool text_is_utf8(const char *text, size_t len)
{
	const unsigned char *p = (const unsigned char *)text;

	for (size_t i = 0; i < len;) {
		uint32_t c;
		size_t n = utf8_decode(p + i, len - i, &c);

		if (!n)
			return false;
		i += n;
	}
	return true;
}

/* Controls, line and paragraph separators, bidi controls, zero-width and BOM: what could move
 * the cursor, reorder what a person reads, or hide. */
static bool char_is_unsafe(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0xad || (c >= 0x200b && c <= 0x200f) ||
	       (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) || c == 0xfeff ||
	       c == 0x061c || (c >= 0xfff9 && c <= 0xfffb) || (c >= 0xe0000 && c <= 0xe0fff);
}

/* Combining marks take no column, East Asian wide and emoji two. Ranges after Unicode 15,
 * coarse where it does no harm. Locale-free on purpose: wcwidth needs setlocale. */
static size_t char_width(uint32_t c)
{
	if ((c >= 0x300 && c <= 0x36f) || (c >= 0x483 && c <= 0x489) ||
	    (c >= 0x591 && c <= 0x5bd) || (c >= 0x610 && c <= 0x61a) ||
	    (c >= 0x64b && c <= 0x65f) || (c >= 0x1ab0 && c <= 0x1aff) ||
	    (c >= 0x1dc0 && c <= 0x1dff) || (c >= 0x20d0 && c <= 0x20ff) ||
	    (c >= 0xfe00 && c <= 0xfe0f) || (c >= 0xfe20 && c <= 0xfe2f))
		return 0;
	if ((c >= 0x1100 && c <= 0x115f) || (c >= 0x2e80 && c <= 0x303e) ||
	    (c >= 0x3041 && c <= 0xa4cf) || (c >= 0xac00 && c <= 0xd7a3) ||
	    (c >= 0xf900 && c <= 0xfaff) || (c >= 0xfe30 && c <= 0xfe6f) ||
	    (c >= 0xff00 && c <= 0xff60) || (c >= 0xffe0 && c <= 0xffe6) ||
	    (c >= 0x1f300 && c <= 0x1f64f) || (c >= 0x1f680 && c <= 0x1f6ff) ||
	    (c >= 0x1f900 && c <= 0x1f9ff) || (c >= 0x20000 && c <= 0x3fffd))
		return 2;
	return 1;
}

void text_add_safe(struct buf *out, const char *text, size_t len, size_t max_width, bool keep_lines)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t width = 0, last_fit = out->len; /* where an ellipsis still fits */
	size_t marks = 0;

	for (size_t i = 0; i < len;) {
		uint32_t c = 0;
		size_t n = utf8_decode(p + i, len - i, &c), w;
		const char *shown = text + i;
		size_t shown_len = n;

		if (!n) {
			n = 1;
			shown = "\xef\xbf\xbd"; /* U+FFFD */
			shown_len = 3;
			w = 1;
		} else if (keep_lines && (c == '\n' || c == '\t')) {
			w = c == '\t';
		} else if (c == '\n' || c == '\t' || c == '\r') {
			shown = " ";
			shown_len = 1;
			w = 1;
		} else if (char_is_unsafe(c)) {
			shown = c == 0x1b ? "\xe2\x90\x9b" /* U+241B, symbol for escape */
			                  : "\xef\xbf\xbd";
			shown_len = 3;
			w = 1;
		} else {
			w = char_width(c);
			if (w)
				marks = 0;
			else if (++marks > MARKS_MAX)
				shown_len = 0;
		}
		if (max_width && width + w > max_width) {
			out->len = last_fit;
			buf_add_str(out, "\xe2\x80\xa6");
			return;
		}
		if (!max_width || width + w < max_width) {
			buf_add(out, shown, shown_len);
			last_fit = out->len;
		} else {
			buf_add(out, shown, shown_len);
		}
		width += w;
		i += n;
	}
}

char *text_safe(const char *text, size_t max_width)
{
	struct buf out = BUF_INIT;

	text_add_safe(&out, text, strlen(text), max_width, false);
	return buf_take(&out);
}

size_t text_width(const char *text)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t len = strlen(text), width = 0;

	for (size_t i = 0; i < len;) {
		uint32_t c = 0;
		size_t n = utf8_decode(p + i, len - i, &c);

		width += n ? char_width(c) : 1;
		i += n ? n : 1;
	}
	return width;
}

char *text_subject(const char *prompt)
{
	struct buf out = BUF_INIT;
	size_t len;

	prompt += strspn(prompt, " \t\r\n#*");
	len = strcspn(prompt, "\r\n");
	while (len && (prompt[len - 1] == ' ' || prompt[len - 1] == '\t'))
		len--;
	text_add_safe(&out, prompt, len, 72, false);
	return buf_take(&out);
}

bool text_is_same(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool char_is_alpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool char_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

bool text_is_key(const char *text)
{
	size_t n = text ? strlen(text) : 0;

	if (n < 1 || n > TEXT_KEY_MAX || !(char_is_alpha(text[0]) || text[0] == '_'))
		return false;
	for (size_t i = 1; i < n; i++)
		if (!char_is_alpha(text[i]) && !char_is_digit(text[i]) && text[i] != '_' &&
		    text[i] != '-')
			return false;
	return true;
}

bool text_is_adhoc(const char *plan)
{
	size_t n = strlen(TEXT_ADHOC);

	return strncmp(plan, TEXT_ADHOC, n) == 0 && (!plan[n] || plan[n] == '-');
}

bool text_is_teammate(const char *text)
{
	size_t n = text ? strlen(text) : 0;

	if (n < 1 || n > TEXT_TEAMMATE_MAX || !(text[0] >= 'a' && text[0] <= 'z'))
		return false;
	for (size_t i = 1; i < n; i++)
		if (!(text[i] >= 'a' && text[i] <= 'z') && !char_is_digit(text[i]) &&
		    text[i] != '-')
			return false;
	return true;
}

bool text_parse_duration(const char *text, double *seconds)
{
	double value = 0, scale = 0.1;
	const char *p = text;

	if (!p || !char_is_digit(*p))
		return false;
	for (; char_is_digit(*p); p++)
		value = value * 10 + (*p - '0');
	if (*p == '.') {
		if (!char_is_digit(*++p))
			return false;
		for (; char_is_digit(*p); p++, scale /= 10)
			value += (*p - '0') * scale;
	}
	switch (*p) {
	case 'd':
		value *= 86400;
		p++;
		break;
	case 'h':
		value *= 3600;
		p++;
		break;
	case 'm':
		if (p[1] == 's') {
			value /= 1000;
			p++;
		} else {
			value *= 60;
		}
		p++;
		break;
	case 's':
		p++;
		break;
	default:
		break;
	}
	if (*p || value > 1e9)
		return false;
	*seconds = value;
	return true;
}

void text_format_duration(double seconds, char out[32])
{
	long long s;

	/* From a worker it may be anything: not a number, without end. */
	if (!(seconds > 0))
		seconds = 0;
	if (seconds > DURATION_MAX)
		seconds = DURATION_MAX;
	s = (long long)(seconds + 0.5);
	if (seconds < 10 && seconds > 0)
		snprintf(out, 32, "%.1fs", seconds);
	else if (s < 60)
		snprintf(out, 32, "%llds", s);
	else if (s < 3600)
		snprintf(out, 32, "%lldm%02llds", s / 60, s % 60);
	else if (s < 86400)
		snprintf(out, 32, "%lldh%02lldm", s / 3600, s % 3600 / 60);
	else
		snprintf(out, 32, "%lldd%02lldh", s / 86400, s % 86400 / 3600);
}

void text_format_time(int64_t ms, char out[32])
{
	static _Thread_local char last[32]; /* the second that was written last */
	static _Thread_local time_t last_seconds;
	time_t seconds;
	int rest;

	if (ms > TIME_MS_MAX)
		ms = TIME_MS_MAX;
	if (ms < TIME_MS_MIN)
		ms = TIME_MS_MIN;
	rest = (int)(ms % 1000);
	seconds = (time_t)(ms / 1000);
	if (rest < 0) {
		rest += 1000;
		seconds--;
	}
	if (!last[0] || seconds != last_seconds) { /* lists and logs are full of the same second */
		struct tm tm;

		gmtime_r(&seconds, &tm);
		strftime(last, sizeof last, "%Y-%m-%dT%H:%M:%S.000Z", &tm);
		last_seconds = seconds;
	}
	memcpy(out, last, sizeof last);
	for (char *digit = strrchr(out, '.') + 3; rest; rest /= 10)
		*digit-- = (char)('0' + rest % 10);
}

static int64_t clock_ms(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Days since 1970. timegm would read the local time zone, from six system calls. Years of this
 * count begin in March, so a leap day is the last of its year. */
static int64_t days_until(const struct tm *tm)
{
	int64_t month = (tm->tm_mon + 10) % 12, year = tm->tm_year + 1900 + 400 - (month >= 10);

	return year * 365 + year / 4 - year / 100 + year / 400 + (month * 306 + 5) / 10 +
	       tm->tm_mday - 1 - 719468 - 146097;
}

int64_t text_parse_time(const char *text)
{
	struct tm tm = {0};
	const char *rest = text ? strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) : NULL;
	int64_t ms;

	if (!rest)
		return -1;
	ms = (days_until(&tm) * 86400 + tm.tm_hour * 3600 + tm.tm_min * 60 + tm.tm_sec) * 1000;
	if (*rest == '.')
		ms += (int64_t)(strtod(rest, NULL) * 1000 + 0.5);
	return ms;
}

int64_t time_now_ms(void)
{
	return clock_ms(CLOCK_REALTIME);
}

int64_t time_mono_ms(void)
{
	return clock_ms(CLOCK_MONOTONIC);
}

/* Levenshtein with swapped neighbours counted as one; words here are short. */
static size_t edit_distance(const char *a, const char *b)
{
	size_t n = strlen(a), m = strlen(b);
	size_t row[3][TEXT_KEY_MAX + 2];

	if (n > TEXT_KEY_MAX || m > TEXT_KEY_MAX)
		return SIZE_MAX;
	for (size_t j = 0; j <= m; j++)
		row[0][j] = j;
	for (size_t i = 1; i <= n; i++) {
		size_t *now = row[i % 3], *before = row[(i + 2) % 3], *earlier = row[(i + 1) % 3];

		now[0] = i;
		for (size_t j = 1; j <= m; j++) {
			size_t best = before[j - 1] + (a[i - 1] != b[j - 1]);

			if (before[j] + 1 < best)
				best = before[j] + 1;
			if (now[j - 1] + 1 < best)
				best = now[j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    earlier[j - 2] + 1 < best)
				best = earlier[j - 2] + 1;
			now[j] = best;
		}
	}
	return row[n % 3][m];
}

const char *text_nearest(const char *word, const char *const *names)
{
	const char *nearest = NULL;
	size_t best = strlen(word) / 3 + 1;

	for (size_t i = 0; names && names[i]; i++) {
		size_t distance = edit_distance(word, names[i]);

		if (distance <= best && (!nearest || distance < best)) {
			best = distance;
			nearest = names[i];
		}
	}
	return nearest;
}

char *text_did_you_mean(const char *word, const char *const *names)
{
	const char *nearest = text_nearest(word, names);

	return nearest ? xasprintf(" (did you mean %s?)", nearest) : xstrdup("");
}

void text_random_hex(char *out, size_t n)
{
	static const char digits[] = "0123456789abcdef";
	unsigned char bytes[64];

	if (n > sizeof bytes || getrandom(bytes, n, 0) != (ssize_t)n)
		die("no random bytes from the kernel");
	for (size_t i = 0; i < n; i++) {
		out[2 * i] = digits[bytes[i] >> 4];
		out[2 * i + 1] = digits[bytes[i] & 15];
	}
	out[2 * n] = '\0';
}
