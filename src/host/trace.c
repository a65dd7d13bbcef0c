/* SPDX-License-Identifier: MIT */
/*
 * -v: a line for each call we answered, in the manner of strace:
 *
 *   [pid 812] ioctl(3, IOMMU_IOAS_MAP, {size=40, flags=READABLE, ioas_id=1,
 *       user_va=0x7f0000, length=0x1000, iova=0 => 0x1000}) = 0 <0.000011>
 *
 * The struct is read before and after the call; where they differ both are
 * shown.  Reading is the trace's own and changes nothing of the call.
 */
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <iommufd/uapi/iommufd_test.h>

#include "host/host_priv.h"
#include "host/trace.h"

#define LINE_MAX_BYTES 2048

struct trace_line {
	char text[LINE_MAX_BYTES];
	size_t len;
};

static void line_add(struct trace_line *line, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
static void line_add(struct trace_line *line, const char *fmt, ...)
{
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(line->text + line->len, sizeof(line->text) - line->len, fmt, args);
	va_end(args);
	line->len = MIN(line->len + (size_t)n, sizeof(line->text) - 1);
}

static u64 field_value(const struct trace_field *field, const void *data)
{
	const u8 *p = (const u8 *)data + field->offset;
	u16 v16;
	u32 v32;
	u64 v64;

	switch (field->size) {
	case 1:
		return *p;
	case 2:
		memcpy(&v16, p, sizeof(v16));
		return v16;
	case 4:
		memcpy(&v32, p, sizeof(v32));
		return v32;
	default:
		memcpy(&v64, p, sizeof(v64));
		return v64;
	}
}

static void add_flags(struct trace_line *line, const struct trace_name *names, u64 value)
{
	const char *sep = "";

	for (; names->name; names++) {
		if (!(value & names->value))
			continue;
		line_add(line, "%s%s", sep, names->name);
		value &= ~names->value;
		sep = "|";
	}
	if (value || !*sep)
		line_add(line, "%s%#llx", sep, (unsigned long long)value);
}

static void add_value(struct trace_line *line, const struct trace_field *field, u64 value)
{
	const struct trace_name *name = field->names;

	switch (field->kind) {
	case TRACE_HEX:
		line_add(line, "%#llx", (unsigned long long)value);
		return;
	case TRACE_SDEC:
		line_add(line, "%d", (int)value);
		return;
	case TRACE_FLAGS:
		add_flags(line, name, value);
		return;
	case TRACE_ENUM:
		while (name->name && name->value != value)
			name++;
		if (name->name) {
			line_add(line, "%s", name->name);
			return;
		}
		/* fall through */
	case TRACE_DEC:
		line_add(line, "%llu", (unsigned long long)value);
	}
}

/* @after: NULL if it could not be read, or nothing happened */
static void add_struct(struct trace_line *line, const struct trace_cmd *cmd, u32 len,
		       const void *before, const void *after)
{
	const char *sep = "";

	line_add(line, "{");
	for (u32 i = 0; i < cmd->num_fields; i++) {
		const struct trace_field *field = &cmd->fields[i];
		u64 old, new;

		if (field->offset + field->size > len)
			break; /* an older caller's struct ends here */
		old = field_value(field, before);
		new = after ? field_value(field, after) : old;
		line_add(line, "%s%s=", sep, field->name);
		add_value(line, field, old);
		if (new != old) {
			line_add(line, " => ");
			add_value(line, field, new);
		}
		sep = ", ";
	}
	line_add(line, "}");
}

/* As much of the struct as is there: it may end right before an unmapped page. */
static u32 peek(const struct call *call, u64 uaddr, void *dst, u32 len)
{
	struct iovec local = { dst, len };
	u32 first = MIN(len, (u32)(PAGE_SIZE - (uaddr & ~PAGE_MASK)));
	struct iovec remote[] = {
		{ (void *)(uintptr_t)uaddr, first },
		{ (void *)(uintptr_t)(uaddr + first), len - first },
	};
	ssize_t n = process_vm_readv(call->req->pid, &local, 1, remote, 1 + (len > first), 0);

	return n < 0 ? 0 : (u32)n;
}

/* Which argument of the calls we print points to something worth reading. */
static unsigned int trace_pointer(const struct call *call)
{
	switch (call->req->data.nr) {
	case SYS_ioctl:
		return 2;
	case SYS_openat:
	case SYS_openat2:
	case SYS_readlinkat:
		return 1;
	default:
		return 0;
	}
}

void trace_begin(struct call *call, struct trace_state *state)
{
	struct timespec t;

	/* An ioctl's struct, or the path of a call that may be answered before we print. */
	state->len = peek(call, call->req->data.args[trace_pointer(call)], state->before,
			  sizeof(state->before) - 1);
	state->before[state->len] = 0;
	clock_gettime(CLOCK_MONOTONIC, &t);
	state->started = t.tv_sec * 1000000000ull + t.tv_nsec;
}

static const struct trace_cmd *find_cmd(struct call *call, const struct trace_state *state)
{
	u32 number = (u32)call->req->data.args[1];
	const struct trace_cmd *cmd = NULL;
	struct host_file *hf;
	u32 op;

	if (number == IOMMU_TEST_CMD && state->len >= 8) {
		memcpy(&op, state->before + 4, sizeof(op));
		cmd = trace_cmd_test(op);
	}
	if (!cmd)
		cmd = trace_cmd_iommufd(number);
	if (cmd)
		return cmd;
	if (call_file(call, (int)call->req->data.args[0], &hf))
		hf = NULL;
	cmd = trace_cmd_vfio(number, hf ? hf->file->ops->name : NULL);
	if (hf)
		host_file_put(hf);
	return cmd;
}

static void add_ioctl(struct trace_line *line, struct call *call, const struct trace_state *state)
{
	u32 number = (u32)call->req->data.args[1];
	u64 arg = call->req->data.args[2];
	const struct trace_cmd *cmd = find_cmd(call, state);
	u8 after[TRACE_STRUCT_MAX];
	u32 len, size;

	line_add(line, "ioctl(%d, ", (int)call->req->data.args[0]);
	if (!cmd) {
		line_add(line, "%#x, %#llx", number, (unsigned long long)arg);
	} else if (!cmd->size) {
		line_add(line, "%s, ", cmd->name);
		if (cmd->num_fields)
			add_value(line, cmd->fields, arg);
		else
			line_add(line, "%#llx", (unsigned long long)arg);
	} else if (state->len < sizeof(size)) {
		line_add(line, "%s, %#llx", cmd->name, (unsigned long long)arg);
	} else {
		/* All these structs begin with the bytes the caller knows. */
		memcpy(&size, state->before, sizeof(size));
		len = MIN(MIN(size, cmd->size), state->len);
		line_add(line, "%s, ", cmd->name);
		add_struct(line, cmd, len, state->before,
			   peek(call, arg, after, len) == len ? after : NULL);
	}
	line_add(line, ")");
}

static const struct trace_name open_flags[] = {
	TRACE_NAME(, O_WRONLY),	  TRACE_NAME(, O_RDWR),	   TRACE_NAME(, O_CREAT),
	TRACE_NAME(, O_EXCL),	  TRACE_NAME(, O_TRUNC),   TRACE_NAME(, O_APPEND),
	TRACE_NAME(, O_NONBLOCK), TRACE_NAME(, O_CLOEXEC), TRACE_NAME(, O_NOFOLLOW),
	{ 0 },
};

static void add_path_call(struct trace_line *line, const struct call *call,
			  const struct trace_state *state)
{
	const u64 *arg = (const u64 *)call->req->data.args;
	int nr = call->req->data.nr;
	bool at = trace_pointer(call) == 1;
	const char *name = nr == SYS_openat2 ? "openat2" :
			   nr == SYS_openat ? "openat" :
			   nr == SYS_readlinkat ? "readlinkat" : "open";

#ifdef SYS_open
	if (nr == SYS_creat)
		name = "creat";
	if (nr == SYS_readlink)
		name = "readlink";
#endif
	line_add(line, "%s(", name);
	if (at && (int)arg[0] == AT_FDCWD)
		line_add(line, "AT_FDCWD, ");
	else if (at)
		line_add(line, "%d, ", (int)arg[0]);
	line_add(line, "\"%s\"", (const char *)state->before);
	if (!strcmp(name, "open") || nr == SYS_openat) {
		line_add(line, ", %s", (arg[1 + at] & O_ACCMODE) == O_RDONLY ? "O_RDONLY" : "");
		if ((arg[1 + at] & O_ACCMODE) == O_RDONLY && (u32)arg[1 + at])
			line_add(line, "|");
		if ((u32)arg[1 + at])
			add_flags(line, open_flags, (u32)arg[1 + at]);
	}
	line_add(line, ")");
}

static void add_fd_call(struct trace_line *line, const struct call *call)
{
	static const struct {
		int nr;
		const char *name;
	} names[] = {
		{ SYS_fstat, "fstat" },	      { SYS_newfstatat, "newfstatat" },
		{ SYS_statx, "statx" },	      { SYS_read, "read" },
		{ SYS_write, "write" },	      { SYS_pread64, "pread64" },
		{ SYS_pwrite64, "pwrite64" }, { SYS_readv, "readv" },
		{ SYS_writev, "writev" },     { SYS_dup, "dup" },
		{ SYS_fcntl, "fcntl" },
	};
	const u64 *arg = (const u64 *)call->req->data.args;

	if (call->req->data.nr == SYS_mmap) {
		line_add(line, "mmap(%#llx, %llu, %d, %#x, %d, %#llx)", (unsigned long long)arg[0],
			 (unsigned long long)arg[1], (int)arg[2], (u32)arg[3], (int)arg[4],
			 (unsigned long long)arg[5]);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (names[i].nr == call->req->data.nr) {
			line_add(line, "%s(%d, %#llx, %llu)", names[i].name, (int)arg[0],
				 (unsigned long long)arg[1], (unsigned long long)arg[2]);
			return;
		}
	}
	line_add(line, "syscall_%d(%#llx, %#llx)", call->req->data.nr, (unsigned long long)arg[0],
		 (unsigned long long)arg[1]);
}

static void line_write(struct host *host, struct trace_line *line)
{
	line_add(line, "\n");
	line->text[line->len - 1] = '\n';
	mutex_lock(&host->trace_lock);
	if (write(STDERR_FILENO, line->text, line->len) < 0)
		line->len = 0; /* nobody reads: nothing to be done */
	mutex_unlock(&host->trace_lock);
}

/* What goes on in the kernel is not ours to show. */
void trace_call(struct call *call, const struct trace_state *state, long result)
{
	struct trace_line line = { .len = 0 };
	struct timespec t;
	u64 spent;

	if (result == CALL_NATIVE)
		return;
	clock_gettime(CLOCK_MONOTONIC, &t);
	spent = t.tv_sec * 1000000000ull + t.tv_nsec - state->started;
	line_add(&line, "[pid %d] ", (int)call->req->pid);
	switch (call->req->data.nr) {
	case SYS_ioctl:
		add_ioctl(&line, call, state);
		break;
#ifdef SYS_open
	case SYS_open:
	case SYS_creat:
	case SYS_readlink:
#endif
	case SYS_openat:
	case SYS_openat2:
	case SYS_readlinkat:
		add_path_call(&line, call, state);
		break;
	default:
		add_fd_call(&line, call);
	}
	if (result < 0)
		line_add(&line, " = -1 %s (%s)", strerrorname_np((int)-result) ?: "?",
			 strerror((int)-result));
	else
		line_add(&line, " = %ld", result);
	line_add(&line, " <%llu.%06llu>", (unsigned long long)(spent / 1000000000),
		 (unsigned long long)(spent / 1000 % 1000000));
	line_write(call->host, &line);
}

void trace_release(struct host *host, const char *name)
{
	struct trace_line line = { .len = 0 };

	line_add(&line, "--- %s: last descriptor closed ---", name);
	line_write(host, &line);
}
