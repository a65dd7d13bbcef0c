/* SPDX-License-Identifier: MIT */
/*
 * Options as text, and how preload_run() fails.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "host/preload/launch.h"

static unsigned int said;

static void count_line(void *data, enum iommufd_log_level level, const char *line)
{
	said++;
}

static const struct preload_opts quiet = {
	.log = { .fn = count_line, .level = IOMMUFD_LOG_WARN },
};

static void options_survive_the_way_through_text(void **state)
{
	struct preload_opts out, in = { .frames = IOMMUFD_FRAMES_RANDOM, .selftest = true };
	const char *bad = "";
	char text[64];

	assert_int_equal(preload_opts_format(&in, text, sizeof(text)), 0);
	memset(&out, 0, sizeof(out));
	preload_opts_parse(text, &out, &bad);
	assert_null(bad);
	assert_memory_equal(&in, &out, sizeof(in));
	assert_int_equal(preload_opts_format(&in, text, 8), -ENAMETOOLONG);
}

static void an_unknown_word_is_named_and_the_rest_is_taken(void **state)
{
	struct preload_opts opts = { 0 };
	const char *bad;

	preload_opts_parse("selftes,,frames=huge-only,selftest", &opts, &bad);
	assert_non_null(bad);
	assert_memory_equal(bad, "selftes,", 8);
	assert_true(opts.selftest);
	assert_int_equal(opts.frames, IOMMUFD_FRAMES_HUGE_ONLY);
}

static void a_program_that_is_not_there_gives_127(void **state)
{
	char path[] = "/nowhere/program", name[] = "no-such-program-anywhere";
	char *by_path[] = { path, NULL }, *by_name[] = { name, NULL };

	said = 0;
	assert_int_equal(preload_run(&quiet, by_path), 127);
	assert_int_equal(preload_run(&quiet, by_name), 127);
	assert_int_equal(said, 2);
}

static void a_file_that_is_no_program_gives_126(void **state)
{
	char path[] = "/tmp/test_launch.XXXXXX";
	int fd = mkstemp(path);
	char *argv[] = { path, NULL };

	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(preload_run(&quiet, argv), 126);
	assert_int_equal(unlink(path), 0);
}

/* A static program would run and find no device: better to say so first. */
static void a_static_program_gives_125(void **state)
{
	char *argv[] = { getenv("STATIC_PROGRAM"), NULL };

	if (!argv[0])
		skip();
	said = 0;
	assert_int_equal(preload_run(&quiet, argv), 125);
	assert_int_equal(said, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_survive_the_way_through_text),
		cmocka_unit_test(an_unknown_word_is_named_and_the_rest_is_taken),
		cmocka_unit_test(a_program_that_is_not_there_gives_127),
		cmocka_unit_test(a_file_that_is_no_program_gives_126),
		cmocka_unit_test(a_static_program_gives_125),
	};

	return cmocka_run_group_tests_name("preload_launch", tests, NULL, NULL);
}
