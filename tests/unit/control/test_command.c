/* SPDX-License-Identifier: MIT */
/* Lines and replies: what is understood, what is refused, and in which words. */
#include "talk.h"

#include "base/fault.h"

static void a_request_is_answered_with_its_id(void **state)
{
	struct json_object *reply = talk("{\"execute\":\"query-version\",\"id\":{\"a\":[1]}}");

	expect_text(reply, "return/version", "1.2");
	expect_number(reply, "return/pid", 17);
	expect_number(reply, "id/a/0", 1);
	assert_null(talk_at(reply, "error"));
	json_object_put(reply);
}

static void mistakes_are_named(void **state)
{
	static const struct {
		const char *line, *class, *desc;
	} rows[] = {
		{"", "BadRequest", "not JSON"},
		{"x", "BadRequest", "not JSON"},
		{"{", "BadRequest", "not JSON"},
		{"[]", "BadRequest", "not an object"},
		{"17", "BadRequest", "not an object"},
		{"null", "BadRequest", "not an object"},
		{"{} {}", "BadRequest", "not JSON"},
		{"{} x", "BadRequest", "not JSON"},
		{" {}\t ", "BadRequest", "execute: a command's name is wanted"},
		{"{}", "BadRequest", "execute: a command's name is wanted"},
		{"{\"execute\":1}", "BadRequest", "execute: a command's name is wanted"},
		{"{\"execute\":\"x\",\"more\":1}", "BadRequest", "more: unknown key"},
		{"{\"execute\":\"x\",\"arguments\":[]}", "BadRequest", "arguments: an object"},
		{"{\"execute\":\"x\"}", "CommandNotFound", "x: no such command"},
		{"{\"execute\":\"query-version\",\"arguments\":{\"a\":1}}", "BadArgument",
		 "a: unknown argument of query-version"},
		{"{\"execute\":\"dma-read\",\"arguments\":{}}", "BadArgument",
		 "device: it is missing"},
		{"{\"execute\":\"dma-read\",\"arguments\":{\"device\":1}}", "BadArgument",
		 "device: a string is wanted"},
		{"{\"execute\":\"dma-read\",\"arguments\":{\"device\":\"d\",\"iova\":\"x\"}}",
		 "BadArgument", "iova: a number is wanted"},
		{"{\"execute\":\"dma-read\",\"arguments\":{\"device\":\"d\",\"iova\":-1}}",
		 "BadArgument", "iova: a number is wanted"},
		{"{\"execute\":\"dma-read\",\"arguments\":{\"device\":\"d\",\"iova\":0,"
		 "\"length\":4097}}",
		 "BadArgument", "length: a number from 1 to 4096"},
		{"{\"execute\":\"dma-read\",\"arguments\":{\"device\":\"d\",\"iova\":0,"
		 "\"length\":1,\"pasid\":1048576}}",
		 "BadArgument", "pasid: 20 bits"},
		{"{\"execute\":\"dma-read\",\"arguments\":{\"device\":\"d\",\"iova\":0,"
		 "\"length\":1}}",
		 "DeviceNotFound", "d: no such device"},
		{"{\"execute\":\"dma-write\",\"arguments\":{\"device\":\"d\",\"iova\":0,"
		 "\"data\":\"abc\"}}",
		 "BadArgument", "data: 1 to 4096 bytes of two hex digits"},
		{"{\"execute\":\"dma-write\",\"arguments\":{\"device\":\"d\",\"iova\":0,"
		 "\"data\":\"zz\"}}",
		 "BadArgument", "data: not hex digits"},
		{"{\"execute\":\"device-add\",\"arguments\":{\"model\":\"nvme\"}}", "GenericError",
		 "this machine takes no devices"},
		{"{\"execute\":\"query-objects\",\"arguments\":{\"context\":9}}", "ContextNotFound",
		 "9: no such context"},
		{"{\"execute\":\"query-objects\",\"arguments\":{\"context\":4294967297}}",
		 "ContextNotFound", "4294967297: no such context"},
		{"{\"execute\":\"query-ioas\",\"arguments\":{\"id\":77}}", "ObjectNotFound",
		 "77: no such object of this type"},
		{"{\"execute\":\"query-ioas\",\"arguments\":{\"limit\":20001}}", "BadArgument",
		 "limit: a number from 1 to 20000"},
		{"{\"execute\":\"report-event\",\"arguments\":{\"context\":1,\"viommu\":9,"
		 "\"type\":1,\"data\":\"00\"}}",
		 "ObjectNotFound", "9: no vIOMMU"},
		{"{\"execute\":\"fail\",\"arguments\":{\"step\":\"x\",\"count\":1000001}}",
		 "BadArgument", "count: 1000000 at most"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct json_object *reply = talk(rows[i].line);

		if (strcmp(talk_text(reply, "error/class"), rows[i].class) ||
		    strncmp(talk_text(reply, "error/desc"), rows[i].desc, strlen(rows[i].desc)))
			fail_msg("%s: %s", rows[i].line, json_object_to_json_string(reply));
		json_object_put(reply);
	}
}

static void nesting_and_length_are_limited(void **state)
{
	const struct control_target target = talk_target();
	char *line = malloc(2 * CONTROL_LINE_MAX);
	struct json_object *reply;

	memset(line, '[', CONTROL_LINE_MAX);
	reply = control_execute(&target, line, CONTROL_LINE_MAX);
	expect_text(reply, "error/desc", "not JSON: nesting too deep");
	json_object_put(reply);
	memset(line, ' ', CONTROL_LINE_MAX + 1);
	reply = control_execute(&target, line, CONTROL_LINE_MAX + 1);
	expect_text(reply, "error/class", "BadRequest");
	json_object_put(reply);
	reply = control_execute(&target, "{\"execute\":\"query-version\"}\0 ", 29);
	expect_text(reply, "error/desc", "not JSON: a byte that is 0");
	json_object_put(reply);
	free(line);
}

static void every_command_is_listed_and_runs_without_a_machine(void **state)
{
	struct json_object *reply = talk("{\"execute\":\"query-commands\"}");
	struct json_object *rows = talk_at(reply, "return");
	char line[200];

	assert_true(json_object_array_length(rows) > 15);
	for (size_t i = 0; i < json_object_array_length(rows); i++) {
		const char *name = talk_text(json_object_array_get_idx(rows, i), "name");
		struct json_object *other;

		snprintf(line, sizeof(line), "{\"execute\":\"%s\"}", name);
		other = talk(line);
		/* Looking always works; doing needs to be told with what. */
		if (!strncmp(name, "query-", 6))
			assert_non_null(talk_at(other, "return"));
		else
			expect_text(other, "error/class", "BadArgument");
		json_object_put(other);
	}
	json_object_put(reply);
}

static void a_step_can_be_made_to_fail(void **state)
{
	struct json_object *reply;

	json_object_put(talk("{\"execute\":\"fail\",\"arguments\":{\"step\":\"alloc\"}}"));
	assert_int_equal(rig_ioas(), 0);
	assert_int_not_equal(rig_ioas(), 0);
	reply = talk("{\"execute\":\"query-counters\"}");
	expect_number(reply, "return/failures-left", 0);
	expect_number(reply, "return/failures-injected", 1);
	json_object_put(reply);
	reply = talk("{\"execute\":\"fail\",\"arguments\":{\"step\":\"pin\",\"skip\":\"0x2\","
		     "\"count\":3}}");
	assert_non_null(talk_at(reply, "return"));
	json_object_put(reply);
	reply = talk("{\"execute\":\"query-counters\"}");
	expect_number(reply, "return/failures-left", 3);
	json_object_put(reply);
	fault_named_set("", 0, 0);
}

#define rigged(f) cmocka_unit_test_setup_teardown(f, rig_begin, rig_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		rigged(a_request_is_answered_with_its_id),
		rigged(mistakes_are_named),
		rigged(nesting_and_length_are_limited),
		rigged(every_command_is_listed_and_runs_without_a_machine),
		rigged(a_step_can_be_made_to_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
