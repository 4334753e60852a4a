/* What a headless agent prints about itself, of any kind: usage that can always be sent and
 * never runs over, words that are text, the same whatever the pieces. The first byte is the kind.
 */
#include <math.h>
#include <string.h>

#include "fuzz.h"
#include "jsonl.h"
#include "mem.h"
#include "report.h"
#include "text.h"

static const char *const kinds[] = {"claude", "codex", "gemini", "opencode", "pi"};

static struct report *read_it(const char *kind, const char *data, size_t size, unsigned seed)
{
	struct report *report = report_new(kind);

	promise(report);
	for (size_t at = 0; at < size;) {
		size_t n = seed ? fuzz_piece(&seed, size - at) : size;

		report_add(report, data + at, n);
		at += n;
	}
	return report;
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static void check_usage(const json_t *usage)
{
	promise(json_is_null(usage) || json_is_object(usage));
	promise(json_int(usage, "input_tokens", 0) >= 0 &&
	        json_int(usage, "output_tokens", 0) >= 0);
	promise(isfinite(json_num(usage, "cost_usd", 0)) && json_num(usage, "cost_usd", 0) >= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	const char *data = (const char *)bytes + 1, *kind;
	struct report *whole, *pieces;

	if (!size)
		return 0;
	kind = kinds[bytes[0] % ARRAY_LEN(kinds)];
	whole = read_it(kind, data, size - 1, 0);
	pieces = read_it(kind, data, size - 1, 1 + (unsigned)size);
	promise(same_text(report_text(whole), report_text(pieces)));
	promise(same_text(report_activity(whole), report_activity(pieces)));
	if (report_text(whole))
		promise(text_is_utf8(report_text(whole), strlen(report_text(whole))));
	_cleanup_json_ json_t *usage = report_usage(whole), *again = report_usage(pieces);

	check_usage(usage);
	promise(json_equal(usage, again));
	report_free(whole);
	report_free(pieces);
	return 0;
}
