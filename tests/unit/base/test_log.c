/* SPDX-License-Identifier: MIT */
/* Log lines: which ones arrive, and in what shape. */
#include "random.h"

#include "base/log.h"

struct heard {
	u32 lines;
	enum iommufd_log_level level;
	char line[LOG_LINE_MAX * 2];
};

static void hear(void *data, enum iommufd_log_level level, const char *line)
{
	struct heard *heard = data;

	heard->lines++;
	heard->level = level;
	assert_true(strlen(line) < sizeof(heard->line));
	strcpy(heard->line, line);
	errno = EIO;
}

static void a_line_arrives_formatted_with_its_level(void **test)
{
	struct heard heard = {0};
	struct log_sink sink = {hear, &heard, IOMMUFD_LOG_INFO};

	log_line(&sink, IOMMUFD_LOG_WARN, "ioas %u: %s", 7, "gone");
	assert_int_equal(heard.lines, 1);
	assert_int_equal(heard.level, IOMMUFD_LOG_WARN);
	assert_string_equal(heard.line, "ioas 7: gone");
}

static void lines_less_severe_than_the_sink_wants_are_dropped(void **test)
{
	struct heard heard = {0};
	struct log_sink sink = {hear, &heard, IOMMUFD_LOG_WARN};

	log_line(&sink, IOMMUFD_LOG_DEBUG, "no");
	log_line(&sink, IOMMUFD_LOG_INFO, "no");
	assert_int_equal(heard.lines, 0);
	log_line(&sink, IOMMUFD_LOG_WARN, "yes");
	log_line(&sink, IOMMUFD_LOG_ERROR, "yes");
	assert_int_equal(heard.lines, 2);
}

static void a_sink_without_a_function_is_silent(void **test)
{
	struct log_sink sink = {.level = IOMMUFD_LOG_DEBUG};

	log_line(&sink, IOMMUFD_LOG_ERROR, "nobody hears %d", 1);
	log_line(NULL, IOMMUFD_LOG_ERROR, "nobody hears %d", 2);
}

static void a_long_line_is_cut_and_says_so(void **test)
{
	struct heard heard = {0};
	struct log_sink sink = {hear, &heard, IOMMUFD_LOG_DEBUG};
	char big[LOG_LINE_MAX * 2];

	memset(big, 'x', sizeof(big));
	big[sizeof(big) - 1] = '\0';
	log_line(&sink, IOMMUFD_LOG_DEBUG, "%s", big);
	assert_int_equal(strlen(heard.line), LOG_LINE_MAX - 1);
	assert_string_equal(heard.line + LOG_LINE_MAX - 5, "x...");

	big[LOG_LINE_MAX - 1] = '\0'; /* exactly what fits */
	log_line(&sink, IOMMUFD_LOG_DEBUG, "%s", big);
	assert_string_equal(heard.line, big);
}

static void hostile_text_stays_on_one_line(void **test)
{
	struct heard heard = {0};
	struct log_sink sink = {hear, &heard, IOMMUFD_LOG_DEBUG};

	log_line(&sink, IOMMUFD_LOG_DEBUG, "path %s", "a\nb\x1b[31m\x7f\xc3\xa9");
	assert_string_equal(heard.line, "path a?b?[31m?\xc3\xa9");
	log_line(&sink, IOMMUFD_LOG_DEBUG, "with a newline\n");
	assert_string_equal(heard.line, "with a newline");
	log_line(&sink, IOMMUFD_LOG_DEBUG, "%s", "");
	assert_string_equal(heard.line, "");
	assert_int_equal(heard.lines, 3);
}

static void errno_is_kept(void **test)
{
	struct heard heard = {0};
	struct log_sink sink = {hear, &heard, IOMMUFD_LOG_DEBUG};

	errno = ENOSPC;
	log_line(&sink, IOMMUFD_LOG_DEBUG, "line");
	assert_int_equal(errno, ENOSPC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_arrives_formatted_with_its_level),
		cmocka_unit_test(lines_less_severe_than_the_sink_wants_are_dropped),
		cmocka_unit_test(a_sink_without_a_function_is_silent),
		cmocka_unit_test(a_long_line_is_cut_and_says_so),
		cmocka_unit_test(hostile_text_stays_on_one_line),
		cmocka_unit_test(errno_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
