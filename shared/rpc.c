/* JSON-RPC 2.0 messages. */
#include "rpc.h"

#include "jsonl.h"

json_t *rpc_request(int64_t id, const char *method, json_t *params)
{
	json_t *message = rpc_notification(method, params);

	json_object_set_new(message, "id", json_integer(id));
	return message;
}

json_t *rpc_notification(const char *method, json_t *params)
{
	json_t *message = json_pack("{s:s, s:s}", "jsonrpc", "2.0", "method", method);

	if (params)
		json_object_set_new(message, "params", params);
	return message;
}

static json_t *rpc_reply(const json_t *id)
{
	json_t *message = json_pack("{s:s}", "jsonrpc", "2.0");

	json_object_set(message, "id", id ? (json_t *)id : json_null());
	return message;
}

json_t *rpc_result(const json_t *id, json_t *result)
{
	json_t *message = rpc_reply(id);

	json_object_set_new(message, "result", result ? result : json_null());
	return message;
}

json_t *rpc_error(const json_t *id, const struct error *err)
{
	json_t *message = rpc_reply(id);
	json_t *text = json_string(err->text);

	if (!text) /* the story quotes bytes that are not UTF-8 */
		text = json_string("refused (its reason holds bytes that are not text)");
	json_object_set_new(message, "error",
	                    json_pack("{s:i, s:o, s:{s:s}}", "code", -32000, "message", text,
	                              "data", "code", error_code_word(err->code)));
	return message;
}

int rpc_error_read(const json_t *reply, struct error *err)
{
	const json_t *error = json_object_get(reply, "error");
	const char *text = json_text(error, "message");

	return error_set(err,
	                 error_code_from_word(json_text(json_object_get(error, "data"), "code")),
	                 "%s", text ? text : "refused without a reason");
}
