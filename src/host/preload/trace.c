/* SPDX-License-Identifier: MIT */
/*
 * A line to stderr for each ioctl served, with the fields of its struct by name
 * from the tables that the supervisor's trace has:
 *
 *   [tid 812] ioctl(3, IOMMU_IOAS_ALLOC, {size=12, flags=0, out_ioas_id=0 => 1}) = 0 <0.4us>
 */
#include "host/preload/preload.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <iommufd/uapi/iommufd.h>
#include <iommufd/uapi/iommufd_test.h>

#include "host/trace.h"

struct trace_line {
	char text[1536];
	size_t len;
};

/** struct trace_arg - what the program's struct held at one moment; no more than is readable */
struct trace_arg {
	u8 bytes[TRACE_STRUCT_MAX];
	u32 len;
};

static void add(struct trace_line *line, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
static void add(struct trace_line *line, const char *fmt, ...)
{
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(line->text + line->len, sizeof(line->text) - line->len, fmt, args);
	va_end(args);
	line->len = MIN(line->len + (size_t)MAX(n, 0), sizeof(line->text) - 1);
}

/* Fields are 1, 2, 4 or 8 bytes, in the byte order of all machines this runs on. */
static u64 field_value(const struct trace_field *field, const struct trace_arg *arg)
{
	u64 value = 0;

	memcpy(&value, arg->bytes + field->offset, MIN(field->size, sizeof(value)));
	return value;
}

static void add_flags(struct trace_line *line, const struct trace_name *names, u64 value)
{
	const char *sep = "";

	for (; names->name; names++) {
		if (!(value & names->value))
			continue;
		add(line, "%s%s", sep, names->name);
		value &= ~names->value;
		sep = "|";
	}
	if (value || !*sep)
		add(line, "%s%#llx", sep, (unsigned long long)value);
}

static void add_value(struct trace_line *line, const struct trace_field *field, u64 value)
{
	const struct trace_name *name = field->names;

	while (field->kind == TRACE_ENUM && name->name && name->value != value)
		name++;
	if (field->kind == TRACE_FLAGS)
		add_flags(line, name, value);
	else if (field->kind == TRACE_ENUM && name->name)
		add(line, "%s", name->name);
	else if (field->kind == TRACE_SDEC)
		add(line, "%d", (int)value);
	else
		add(line, field->kind == TRACE_HEX ? "%#llx" : "%llu", (unsigned long long)value);
}

static void add_struct(struct trace_line *line, const struct trace_cmd *cmd,
		       const struct trace_arg *before, const struct trace_arg *after)
{
	const char *sep = "{";

	for (u32 i = 0; i < cmd->num_fields; i++) {
		const struct trace_field *field = &cmd->fields[i];
		u64 value;

		/* The struct of an older program ends here. */
		if ((u32)field->offset + field->size > before->len)
			break;
		value = field_value(field, before);
		add(line, "%s%s=", sep, field->name);
		add_value(line, field, value);
		if (after->len == before->len && field_value(field, after) != value) {
			add(line, " => ");
			add_value(line, field, field_value(field, after));
		}
		sep = ", ";
	}
	add(line, *sep == '{' ? "{}" : "}");
}

static const struct trace_cmd *cmd_find(struct iommufd_process *proc, int fd, u32 number, u64 arg)
{
	const struct trace_cmd *cmd = NULL;
	struct file *file;
	u32 op;

	if (number == IOMMU_TEST_CMD &&
	    !mem_guard_copy(&op, (const void *)(uintptr_t)(arg + 4), sizeof(op)))
		cmd = trace_cmd_test(op);
	if (!cmd)
		cmd = trace_cmd_iommufd(number);
	if (cmd)
		return cmd;
	file = fdmap_get(&proc->fds, fd);
	cmd = trace_cmd_vfio(number, file ? file->ops->name : NULL);
	file_put(file);
	return cmd;
}

/* All these structs begin with the number of bytes that the program knows. */
static void arg_read(const struct trace_cmd *cmd, u64 arg, struct trace_arg *ret)
{
	u32 size;

	ret->len = 0;
	if (!cmd || !cmd->size || mem_guard_copy(&size, (const void *)(uintptr_t)arg, sizeof(size)))
		return;
	size = MIN(MIN(size, cmd->size), (u32)sizeof(ret->bytes));
	if (!mem_guard_copy(ret->bytes, (const void *)(uintptr_t)arg, size))
		ret->len = size;
}

static void add_arg(struct trace_line *line, const struct trace_cmd *cmd, u64 arg,
		    const struct trace_arg *before, const struct trace_arg *after)
{
	if (before->len)
		add_struct(line, cmd, before, after);
	else if (cmd && !cmd->size && cmd->num_fields)
		add_value(line, cmd->fields, arg);
	else
		add(line, "%#llx", (unsigned long long)arg);
}

static double now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

long trace_ioctl(struct iommufd_process *proc, int fd, unsigned int number, void *arg)
{
	const struct trace_cmd *cmd = cmd_find(proc, fd, number, (uintptr_t)arg);
	struct trace_arg before, after;
	struct trace_line line = { .len = 0 };
	double started;
	long rc;

	arg_read(cmd, (uintptr_t)arg, &before);
	started = now_us();
	rc = iommufd_ioctl(proc, fd, number, arg);
	started = now_us() - started;
	arg_read(cmd, (uintptr_t)arg, &after);
	add(&line, "[tid %d] ioctl(%d, ", gettid(), fd);
	if (cmd)
		add(&line, "%s, ", cmd->name);
	else
		add(&line, "%#x, ", number);
	add_arg(&line, cmd, (uintptr_t)arg, &before, &after);
	if (rc < 0)
		add(&line, ") = -1 %s <%.1fus>\n", strerrorname_np((int)-rc), started);
	else
		add(&line, ") = %ld <%.1fus>\n", rc, started);
	line.text[line.len - 1] = '\n';
	(void)!write(STDERR_FILENO, line.text, line.len);
	return rc;
}
