/* YAML events of libfyaml, of which this is the only user. */
#include <libfyaml.h>
#include <string.h>

#include "mem.h"
#include "yaml_event.h"

static void set_text(struct yaml_text *out, struct fy_token *token)
{
	if (token)
		out->data = fy_token_get_text(token, &out->len);
}

static enum yaml_style style_of(struct fy_token *token)
{
	enum fy_scalar_style style = token ? fy_token_scalar_style(token) : FYSS_PLAIN;

	if (style == FYSS_SINGLE_QUOTED || style == FYSS_DOUBLE_QUOTED)
		return YAML_QUOTED;
	return style == FYSS_PLAIN ? YAML_PLAIN : YAML_BLOCK;
}

/* False where it means nothing to us. */
static bool translate(struct fy_event *event, struct yaml_event *out)
{
	const struct fy_mark *mark = fy_event_start_mark(event);
	struct fy_token *token = fy_event_get_token(event);

	*out = (struct yaml_event){.line = mark ? mark->line + 1 : 0,
	                           .column = mark ? mark->column + 1 : 0};
	switch (event->type) {
	case FYET_DOCUMENT_START:
		out->type = YAML_EVENT_DOCUMENT;
		return true;
	case FYET_SCALAR:
		out->type = YAML_EVENT_SCALAR;
		out->style = style_of(token);
		if (token)
			set_text(&out->text, token);
		else
			out->text.data = "";
		break;
	case FYET_ALIAS:
		out->type = YAML_EVENT_ALIAS;
		set_text(&out->text, event->alias.anchor);
		return true;
	case FYET_SEQUENCE_START:
		out->type = YAML_EVENT_LIST;
		break;
	case FYET_MAPPING_START:
		out->type = YAML_EVENT_MAP;
		break;
	case FYET_SEQUENCE_END:
	case FYET_MAPPING_END:
		out->type = YAML_EVENT_END;
		return true;
	default:
		return false;
	}
	set_text(&out->tag, fy_event_get_tag_token(event));
	set_text(&out->anchor, fy_event_get_anchor_token(event));
	return true;
}

static int tell_bad(struct fy_diag *diag, yaml_take *take, void *context)
{
	void *iterator = NULL;
	const struct fy_diag_error *e = fy_diag_errors_iterate(diag, &iterator);
	const char *why = e && e->msg ? e->msg : "not YAML";
	struct yaml_event bad = {.type = YAML_EVENT_BAD,
	                         .line = e && e->line > 0 ? e->line : 1,
	                         .column = e && e->column > 0 ? e->column : 1,
	                         .text = {why, strlen(why)}};

	return take(context, &bad);
}

static int read_all(struct fy_parser *parser, struct fy_diag *diag, yaml_take *take, void *context)
{
	for (;;) {
		struct fy_event *event = fy_parser_parse(parser);
		struct yaml_event what;
		bool end;
		int status;

		if (!event)
			return tell_bad(diag, take, context);
		end = event->type == FYET_STREAM_END;
		status = translate(event, &what) ? take(context, &what) : 0;
		fy_parser_event_free(parser, event);
		if (status || end)
			return status;
	}
}

int yaml_read_events(const char *name, const char *data, size_t len, yaml_take *take, void *context,
                     struct error *err)
{
	struct fy_parse_cfg cfg = {.flags = FYPCF_DEFAULT_VERSION_1_2 | FYPCF_JSON_NONE |
	                                    FYPCF_ALLOW_DUPLICATE_KEYS};
	struct fy_diag_cfg diag_cfg;
	struct fy_parser *parser;
	int status = -1;

	fy_diag_cfg_default(&diag_cfg);
	diag_cfg.fp = NULL;
	diag_cfg.level = FYET_ERROR;
	cfg.diag = fy_diag_create(&diag_cfg);
	if (!cfg.diag)
		die("out of memory");
	fy_diag_set_collect_errors(cfg.diag, true);
	parser = fy_parser_create(&cfg);
	if (!parser || fy_parser_set_string(parser, data, len))
		error_set(err, ERROR_EXTERNAL, "%s: the YAML reader does not start", name);
	else
		status = read_all(parser, cfg.diag, take, context);
	fy_parser_destroy(parser);
	fy_diag_destroy(cfg.diag);
	return status;
}
