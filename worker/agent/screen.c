/* A terminal of characters: what programs that draw whole screens use (cursor, erasing,
 * scrolling, insertion and deletion, the alternate screen) and nothing else. Every character is
 * taken for one column wide; patterns do not mind. All numbers come from the agent and are
 * clamped where they are used. */
#include "screen.h"

#include <regex.h>
#include <stdlib.h>
#include <string.h>

#include "mem.h"
#include "text.h"

#define PARAMS_MAX   8
#define PATTERNS_MAX 32
#define ASKED_LINES  6
#define SIDE_MIN     2
#define SIDE_MAX     500

enum parse { PARSE_TEXT, PARSE_ESCAPE, PARSE_CSI, PARSE_STRING, PARSE_STRING_ESCAPE, PARSE_ONE };

struct screen {
	int columns, rows;
	uint32_t *cells; /* 0: blank */
	int x, y, saved_x, saved_y;
	int top, bottom; /* of the part that scrolls; bottom is its last line */
	enum parse parse;
	int params[PARAMS_MAX], count;
	bool private_mode, plain; /* plain: no intermediate bytes */
	uint32_t character;
	int utf8_left;
};

static int clamp(int value, int least, int most)
{
	return value < least ? least : value > most ? most : value;
}

static uint32_t *row_of(const struct screen *s, int y)
{
	return s->cells + (size_t)y * (size_t)s->columns;
}

static void blank(struct screen *s, int y, int from, int to)
{
	if (from < to)
		memset(row_of(s, y) + from, 0, (size_t)(to - from) * sizeof(uint32_t));
}

static void blank_rows(struct screen *s, int from, int to)
{
	for (int y = from; y < to; y++)
		blank(s, y, 0, s->columns);
}

struct screen *screen_new(uint16_t columns, uint16_t rows)
{
	struct screen *s = xcalloc(1, sizeof *s);

	screen_resize(s, columns, rows);
	return s;
}

void screen_free(struct screen *s)
{
	if (s)
		free(s->cells);
	free(s);
}

void screen_resize(struct screen *s, uint16_t columns, uint16_t rows)
{
	int w = clamp(columns, SIDE_MIN, SIDE_MAX), h = clamp(rows, SIDE_MIN, SIDE_MAX);
	uint32_t *cells = xcalloc((size_t)w * (size_t)h, sizeof *cells);

	for (int y = 0; y < h && y < s->rows; y++)
		memcpy(cells + (size_t)y * (size_t)w, row_of(s, y),
		       (size_t)(w < s->columns ? w : s->columns) * sizeof *cells);
	free(s->cells);
	s->cells = cells;
	s->columns = w;
	s->rows = h;
	s->x = clamp(s->x, 0, w - 1);
	s->y = clamp(s->y, 0, h - 1);
	s->top = 0;
	s->bottom = h - 1;
}

/* Moves the lines from..to (inclusive) by n: up where n > 0. */
static void scroll(struct screen *s, int from, int to, int n)
{
	int height = to - from + 1, lines = clamp(n < 0 ? -n : n, 0, height);
	size_t moved = (size_t)(height - lines) * (size_t)s->columns * sizeof(uint32_t);

	if (n > 0) {
		memmove(row_of(s, from), row_of(s, from + lines), moved);
		blank_rows(s, to - lines + 1, to + 1);
	} else {
		memmove(row_of(s, from + lines), row_of(s, from), moved);
		blank_rows(s, from, from + lines);
	}
}

static void line_feed(struct screen *s)
{
	if (s->y == s->bottom)
		scroll(s, s->top, s->bottom, 1);
	else if (s->y < s->rows - 1)
		s->y++;
}

static void put(struct screen *s, uint32_t c)
{
	if (s->x >= s->columns) {
		s->x = 0;
		line_feed(s);
	}
	row_of(s, s->y)[s->x++] = c;
}

/* Inserts (n > 0) or takes away cells of the cursor's line. */
static void shift(struct screen *s, int n)
{
	int x = clamp(s->x, 0, s->columns - 1), room = s->columns - x;
	int cells = clamp(n < 0 ? -n : n, 0, room);
	uint32_t *at = row_of(s, s->y) + x;

	if (n > 0) {
		memmove(at + cells, at, (size_t)(room - cells) * sizeof *at);
		blank(s, s->y, x, x + cells);
	} else {
		memmove(at, at + cells, (size_t)(room - cells) * sizeof *at);
		blank(s, s->y, s->columns - cells, s->columns);
	}
}

static void erase_display(struct screen *s, int how)
{
	int x = clamp(s->x, 0, s->columns);

	if (how == 0) {
		blank(s, s->y, x, s->columns);
		blank_rows(s, s->y + 1, s->rows);
	} else if (how == 1) {
		blank_rows(s, 0, s->y);
		blank(s, s->y, 0, clamp(x + 1, 0, s->columns));
	} else if (how == 2) {
		blank_rows(s, 0, s->rows);
	}
}

static void erase_line(struct screen *s, int how)
{
	int x = clamp(s->x, 0, s->columns);

	blank(s, s->y, how == 0 ? x : 0, how == 1 ? clamp(x + 1, 0, s->columns) : s->columns);
}

static void set_region(struct screen *s, int top, int bottom)
{
	if (bottom <= 0 || bottom > s->rows)
		bottom = s->rows;
	if (top < 1 || top >= bottom) {
		top = 1;
		bottom = s->rows;
	}
	s->top = top - 1;
	s->bottom = bottom - 1;
	s->x = s->y = 0;
}

static void move_to(struct screen *s, int y, int x)
{
	s->y = clamp(y, 0, s->rows - 1);
	s->x = clamp(x, 0, s->columns - 1);
}

/* The private modes that change what is seen. */
static void private_sequence(struct screen *s, char final)
{
	if ((final == 'h' || final == 'l') &&
	    (s->params[0] == 1049 || s->params[0] == 47 || s->params[0] == 1047)) {
		blank_rows(s, 0, s->rows);
		move_to(s, 0, 0);
	}
}

static void edit_sequence(struct screen *s, char final, int n)
{
	switch (final) {
	case 'J':
		erase_display(s, s->params[0]);
		return;
	case 'K':
		erase_line(s, s->params[0]);
		return;
	case 'L':
	case 'M':
		if (s->y >= s->top && s->y <= s->bottom)
			scroll(s, s->y, s->bottom, final == 'M' ? n : -n);
		return;
	case 'P':
		shift(s, -n);
		return;
	case '@':
		shift(s, n);
		return;
	case 'X':
		blank(s, s->y, clamp(s->x, 0, s->columns), clamp(s->x + n, 0, s->columns));
		return;
	case 'S':
	case 'T':
		scroll(s, s->top, s->bottom, final == 'S' ? n : -n);
		return;
	case 'r':
		set_region(s, s->params[0], s->params[1]);
		return;
	}
}

static void sequence(struct screen *s, char final)
{
	int n = clamp(s->params[0], 1, SIDE_MAX);

	if (!s->plain)
		return;
	if (s->private_mode) {
		private_sequence(s, final);
		return;
	}
	switch (final) {
	case 'A':
		move_to(s, s->y - n, s->x);
		return;
	case 'B':
	case 'e':
		move_to(s, s->y + n, s->x);
		return;
	case 'C':
	case 'a':
		move_to(s, s->y, s->x + n);
		return;
	case 'D':
		move_to(s, s->y, s->x - n);
		return;
	case 'E':
		move_to(s, s->y + n, 0);
		return;
	case 'F':
		move_to(s, s->y - n, 0);
		return;
	case 'G':
	case '`':
		move_to(s, s->y, n - 1);
		return;
	case 'd':
		move_to(s, n - 1, s->x);
		return;
	case 'H':
	case 'f':
		move_to(s, n - 1, clamp(s->params[1], 1, SIDE_MAX) - 1);
		return;
	case 's':
		s->saved_x = s->x;
		s->saved_y = s->y;
		return;
	case 'u':
		move_to(s, s->saved_y, s->saved_x);
		return;
	default:
		edit_sequence(s, final, n);
	}
}

static void csi(struct screen *s, unsigned char c)
{
	int *param = &s->params[clamp(s->count, 0, PARAMS_MAX - 1)];

	if (c >= '0' && c <= '9') {
		*param = *param < 10000 ? *param * 10 + (c - '0') : *param;
	} else if (c == ';' || c == ':') {
		if (s->count < PARAMS_MAX - 1)
			s->params[++s->count] = 0;
	} else if (c == '?') {
		s->private_mode = true;
	} else if (c >= 0x40 && c <= 0x7e) {
		s->parse = PARSE_TEXT;
		sequence(s, (char)c);
	} else if (c < 0x20) {
		s->parse = PARSE_TEXT; /* a broken sequence */
	} else {
		s->plain = false;
	}
}

static void escape(struct screen *s, unsigned char c)
{
	s->parse = PARSE_TEXT;
	if (c == '[') {
		s->parse = PARSE_CSI;
		memset(s->params, 0, sizeof s->params);
		s->count = 0;
		s->private_mode = false;
		s->plain = true;
	} else if (c && strchr("]PX^_", c)) {
		s->parse = PARSE_STRING;
	} else if (c && strchr("()*+#%", c)) {
		s->parse = PARSE_ONE;
	} else if (c == '7') {
		s->saved_x = s->x;
		s->saved_y = s->y;
	} else if (c == '8') {
		move_to(s, s->saved_y, s->saved_x);
	} else if (c == 'M') {
		if (s->y == s->top)
			scroll(s, s->top, s->bottom, -1);
		else
			move_to(s, s->y - 1, s->x);
	} else if (c == 'D' || c == 'E') {
		if (c == 'E')
			s->x = 0;
		line_feed(s);
	} else if (c == 'c') {
		blank_rows(s, 0, s->rows);
		move_to(s, 0, 0);
		s->top = 0;
		s->bottom = s->rows - 1;
	}
}

static void control(struct screen *s, unsigned char c)
{
	if (c == '\r')
		s->x = 0;
	else if (c == '\n' || c == '\v' || c == '\f')
		line_feed(s);
	else if (c == '\b')
		s->x = clamp(s->x - 1, 0, s->columns - 1);
	else if (c == '\t')
		s->x = clamp((s->x / 8 + 1) * 8, 0, s->columns - 1);
	else if (c == 0x1b)
		s->parse = PARSE_ESCAPE;
}

static void text_byte(struct screen *s, unsigned char c)
{
	if (c < 0x20 || c == 0x7f) {
		s->utf8_left = 0;
		control(s, c);
	} else if (c < 0x80) {
		s->utf8_left = 0;
		put(s, c);
	} else if (c >= 0xc0) {
		s->utf8_left = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : 1;
		s->character = c & (c >= 0xf0 ? 0x07u : c >= 0xe0 ? 0x0fu : 0x1fu);
	} else if (s->utf8_left) {
		s->character = s->character << 6 | (c & 0x3fu);
		if (--s->utf8_left == 0)
			put(s, s->character);
	}
}

void screen_add(struct screen *s, const char *data, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)data[i];

		switch (s->parse) {
		case PARSE_TEXT:
			text_byte(s, c);
			break;
		case PARSE_ESCAPE:
			escape(s, c);
			break;
		case PARSE_CSI:
			csi(s, c);
			break;
		case PARSE_STRING:
			if (c == 0x1b)
				s->parse = PARSE_STRING_ESCAPE;
			else if (c == '\a' || c == 0x18 || c == 0x1a)
				s->parse = PARSE_TEXT;
			break;
		case PARSE_STRING_ESCAPE:
			if (c == '\\')
				s->parse = PARSE_TEXT;
			else
				escape(s, c);
			break;
		case PARSE_ONE:
			s->parse = PARSE_TEXT;
			break;
		}
	}
}

/* ---- reading it ---- */

static void add_character(struct buf *out, uint32_t c)
{
	char utf8[4];
	size_t len = 0;

	if (c < 0x80) {
		utf8[len++] = (char)c;
	} else if (c < 0x800) {
		utf8[len++] = (char)(0xc0 | c >> 6);
	} else if (c < 0x10000) {
		utf8[len++] = (char)(0xe0 | c >> 12);
		utf8[len++] = (char)(0x80 | (c >> 6 & 0x3f));
	} else {
		utf8[len++] = (char)(0xf0 | (c >> 18 & 0x07));
		utf8[len++] = (char)(0x80 | (c >> 12 & 0x3f));
		utf8[len++] = (char)(0x80 | (c >> 6 & 0x3f));
	}
	if (c >= 0x80)
		utf8[len++] = (char)(0x80 | (c & 0x3f));
	buf_add(out, utf8, len);
}

static void line_text(const struct screen *s, int y, struct buf *out)
{
	const uint32_t *row = row_of(s, y);
	int width = s->columns;

	while (width && (!row[width - 1] || row[width - 1] == ' '))
		width--;
	for (int x = 0; x < width; x++)
		add_character(out, row[x] ? row[x] : ' ');
}

void screen_text(const struct screen *s, struct buf *out)
{
	for (int y = 0; y < s->rows; y++) {
		line_text(s, y, out);
		buf_add_str(out, "\n");
	}
}

/* ---- patterns ---- */

static const enum agent_state order[] = {AGENT_WORKING, AGENT_NEEDS_INPUT, AGENT_IDLE};

struct screen_patterns {
	struct {
		regex_t regex[PATTERNS_MAX];
		size_t count;
	} of[ARRAY_LEN(order)];
};

struct screen_patterns *screen_patterns_new(const json_t *patterns)
{
	struct screen_patterns *p;
	size_t all = 0, i;
	json_t *text;

	if (!json_is_object(patterns))
		return NULL;
	p = xcalloc(1, sizeof *p);
	for (size_t k = 0; k < ARRAY_LEN(order); k++) {
		json_array_foreach (json_object_get(patterns, agent_state_word(order[k])), i,
		                    text) {
			size_t *n = &p->of[k].count;

			if (json_is_string(text) && *n < PATTERNS_MAX &&
			    regcomp(&p->of[k].regex[*n], json_string_value(text),
			            REG_EXTENDED | REG_NOSUB) == 0)
				++*n;
		}
		all += p->of[k].count;
	}
	if (all)
		return p;
	screen_patterns_free(p);
	return NULL;
}

void screen_patterns_free(struct screen_patterns *p)
{
	if (!p)
		return;
	for (size_t k = 0; k < ARRAY_LEN(order); k++)
		for (size_t i = 0; i < p->of[k].count; i++)
			regfree(&p->of[k].regex[i]);
	free(p);
}

/* Without what frames it. */
static void add_asked(struct buf *out, const char *line)
{
	_cleanup_free_ char *safe = text_safe(line, 0);
	const char *at = safe;
	size_t len;

	while (*at == ' ' || strncmp(at, "\xe2\x94", 2) == 0 || strncmp(at, "\xe2\x95", 2) == 0)
		at += *at == ' ' ? 1 : 3;
	len = strlen(at);
	while (len &&
	       (at[len - 1] == ' ' || (len >= 3 && (strncmp(at + len - 3, "\xe2\x94", 2) == 0 ||
	                                            strncmp(at + len - 3, "\xe2\x95", 2) == 0))))
		len -= at[len - 1] == ' ' ? 1 : 3;
	if (!len)
		return;
	if (out->len)
		buf_add_str(out, "\n");
	buf_add(out, at, len);
}

static char *asked_at(const struct screen *s, int y)
{
	struct buf out = BUF_INIT;

	for (int last = y + ASKED_LINES; y < last && y < s->rows; y++) {
		_cleanup_buf_ struct buf line = BUF_INIT;

		line_text(s, y, &line);
		if (!line.len && out.len)
			break;
		add_asked(&out, line.len ? line.data : "");
	}
	return buf_take(&out);
}

enum agent_state screen_state(const struct screen *s, const struct screen_patterns *p, char **asked)
{
	int found[ARRAY_LEN(order)];

	*asked = NULL;
	for (size_t k = 0; k < ARRAY_LEN(order); k++)
		found[k] = -1;
	for (int y = s->rows - 1; y >= 0; y--) {
		_cleanup_buf_ struct buf line = BUF_INIT;

		line_text(s, y, &line);
		for (size_t k = 0; line.len && k < ARRAY_LEN(order); k++)
			for (size_t i = 0; i < p->of[k].count; i++)
				if (regexec(&p->of[k].regex[i], line.data, 0, NULL, 0) == 0)
					found[k] = y; /* the first line of what is asked */
		if (found[0] >= 0)
			break;
	}
	for (size_t k = 0; k < ARRAY_LEN(order); k++) {
		if (found[k] < 0)
			continue;
		if (order[k] == AGENT_NEEDS_INPUT)
			*asked = asked_at(s, found[k]);
		return order[k];
	}
	return AGENT_UNKNOWN;
}
