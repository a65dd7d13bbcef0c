/* SPDX-License-Identifier: MIT */
/*
 * The library does not print: it hands lines to the system's log callback.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <iommufd/system.h>

#define LOG_LINE_MAX 512 /* bytes, with the closing NUL */

struct log_sink {
	iommufd_log_fn fn; /* NULL: silent */
	void *data;
	enum iommufd_log_level level; /* the least severe that is still passed on */
};

/**
 * log_line() - hand one formatted line to the sink, if it wants this level
 * @sink: NULL or one without a function: silent
 * @fmt: printf format, with no newline at its end (one is dropped)
 *
 * What the function receives is one line whatever the arguments held: control
 * characters become '?', and a line too long for LOG_LINE_MAX is cut and ends in "...".
 * errno is kept.  Context: any; allocates nothing; runs the function in the caller.
 */
void log_line(const struct log_sink *sink, enum iommufd_log_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
