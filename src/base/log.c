/* SPDX-License-Identifier: MIT */
/*
 * Lines for the system's log callback.  Formatting happens in a buffer on the
 * stack, so a line can be logged on any failure path, out of memory included.
 *
 * Some arguments are hostile (path and process names): whatever they contain,
 * the callback gets exactly one printable line.
 */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Bytes above 0x7f pass: names may be UTF-8. */
static void line_clean(char *line)
{
	size_t length = strlen(line);

	if (length && line[length - 1] == '\n')
		line[length - 1] = '\0';
	for (char *c = line; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
}

void log_line(const struct log_sink *sink, enum iommufd_log_level level, const char *fmt, ...)
{
	char line[LOG_LINE_MAX];
	int kept_errno = errno;
	va_list args;
	int length;

	if (!sink || !sink->fn || level > sink->level)
		return;
	va_start(args, fmt);
	length = vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	if (length >= 0) {
		if ((size_t)length >= sizeof(line))
			memcpy(line + sizeof(line) - sizeof("..."), "...", sizeof("..."));
		line_clean(line);
		sink->fn(sink->data, level, line);
	}
	errno = kept_errno;
}
