/* SPDX-License-Identifier: MIT */
/*
 * Files of /proc that show or steer what we do instead of the kernel:
 * PID/status, where pinned memory is counted, and the fail-nth of a thread,
 * which makes the nth thing that can fail do so.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/alloc.h"
#include "host/host_priv.h"

#define STATUS_MAX 16384

/* Add @pages to the value of the line that begins with @key, which keeps its shape. */
static void status_add(char *text, size_t size, const char *key, u64 pages)
{
	char *line = strstr(text, key), *end;
	char value[64];
	u64 kib;
	size_t old, new;

	if (!line)
		return;
	line += strlen(key);
	kib = strtoull(line, &end, 10) + pages * (PAGE_SIZE / 1024);
	snprintf(value, sizeof(value), "\t%8llu", (unsigned long long)kib);
	old = end - line;
	new = strlen(value);
	if (strlen(text) + new - old + 1 > size)
		return;
	memmove(line + new, end, strlen(end) + 1);
	memcpy(line, value, new);
}

static ssize_t status_read(int dir, char *text, size_t size)
{
	int fd = openat(dir, "status", O_RDONLY | O_CLOEXEC);
	ssize_t len = 0, n;

	if (fd < 0)
		return -errno;
	while ((n = read(fd, text + len, size - 1 - len)) > 0)
		len += n;
	close(fd);
	text[len] = 0;
	return len;
}

/* A read-only file in memory with @text in it; -ENFILE. */
static int text_file(const char *text, size_t len)
{
	int fd = memfd_create("status", MFD_CLOEXEC);
	char path[32];
	int ro = -1;

	if (fd < 0)
		return -ENFILE;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (write(fd, text, len) == (ssize_t)len)
		ro = open(path, O_RDONLY | O_CLOEXEC);
	close(fd);
	return ro < 0 ? -ENFILE : ro;
}

long text_open(struct call *call, const char *text, size_t len, int open_flags)
{
	int fd = text_file(text, len);
	long rc;

	if (fd < 0)
		return fd;
	rc = notify_addfd(call->host, call->req->id, fd, -1, open_flags);
	close(fd);
	return rc;
}

long proc_status_open(struct call *call, const struct path_hit *hit, int open_flags)
{
	u64 pinned, locked;
	char text[STATUS_MAX];
	struct mm *mm;
	ssize_t len;

	if ((open_flags & O_ACCMODE) != O_RDONLY || (open_flags & O_PATH))
		return CALL_NATIVE;
	mm = target_mm_of(call->host, hit->pid);
	if (!mm)
		return CALL_NATIVE;
	pinned = mm_pinned_pages(mm);
	locked = mm_locked_pages(mm);
	mm_put(mm);
	if (!pinned && !locked)
		return CALL_NATIVE;
	len = status_read(hit->dir, text, sizeof(text) - 128);
	if (len <= 0)
		return CALL_NATIVE;
	status_add(text, sizeof(text), "\nVmPin:", pinned);
	status_add(text, sizeof(text), "\nVmLck:", locked);
	return text_open(call, text, strlen(text), open_flags);
}

/* ---- /proc/devices ---- */

/* The kernel's lines but those of its own VFIO, and ours where they belong. */
static size_t devices_text(struct names *names, FILE *in, char *text, size_t size)
{
	static const char *const lines[][2] = { { "vfio", "/dev/vfio/" },
						{ "vfio-dev", "/dev/vfio/devices/" } };
	size_t len = 0;
	char line[128];

	while (fgets(line, sizeof(line), in) && len < size - 256) {
		unsigned int number;
		char name[64];

		if (sscanf(line, "%u %63s", &number, name) == 2 &&
		    (!strcmp(name, "vfio") || !strcmp(name, "vfio-dev")))
			continue;
		/* An empty line ends the character devices. */
		for (size_t i = 0; i < ARRAY_SIZE(lines) && *line == '\n'; i++) {
			number = names_major(names, lines[i][1]);
			if (number)
				len += snprintf(text + len, size - len, "%3u %s\n", number,
						lines[i][0]);
		}
		len += snprintf(text + len, size - len, "%s", line);
	}
	return len;
}

long proc_devices_open(struct call *call, int open_flags)
{
	char text[STATUS_MAX];
	size_t len;
	FILE *in;

	if ((open_flags & O_ACCMODE) != O_RDONLY || (open_flags & (O_PATH | O_DIRECTORY)))
		return CALL_NATIVE;
	in = fopen("/proc/devices", "re");
	if (!in)
		return CALL_NATIVE;
	len = devices_text(&call->host->names, in, text, sizeof(text));
	fclose(in);
	return text_open(call, text, len, open_flags);
}

/* ---- fail-nth ---- */

struct fail_nth_file {
	struct file file;
	struct fault_state *state; /* lives as long as the host */
	struct host *host;
	pid_t tid;
	u64 armed;    /* since it was opened */
	u64 injected; /* what state->injected was then */
};

/*
 * These two answer for the way in, not for the core: copies here are not
 * points that can fail, so that a test can always disarm what it armed.
 */
static struct call *current_call(void)
{
	return container_of(task_current, struct call, task);
}

static ssize_t fail_nth_read(struct file *file, u64 ubuf, size_t count, u64 pos)
{
	struct fail_nth_file *ff = container_of(file, struct fail_nth_file, file);
	char text[16];
	size_t len;

	len = snprintf(text, sizeof(text), "%u\n", atomic_load(&ff->state->nth));
	if (pos >= len)
		return 0;
	len = MIN(len - pos, count);
	return call_write(current_call(), ubuf, text + pos, len) ?: (ssize_t)len;
}

static ssize_t fail_nth_write(struct file *file, u64 ubuf, size_t count, u64 pos)
{
	struct fail_nth_file *ff = container_of(file, struct fail_nth_file, file);
	unsigned long nth;
	char text[16];
	char *end;

	if (!count || count >= sizeof(text))
		return -EINVAL;
	if (call_read(current_call(), text, ubuf, count))
		return -EFAULT;
	text[count] = 0;
	if (*text < '0' || *text > '9')
		return -EINVAL;
	nth = strtoul(text, &end, 0);
	if (*end == '\n')
		end++;
	if (*end || nth > INT_MAX)
		return -EINVAL;
	atomic_store(&ff->state->nth, (u32)nth);
	ff->armed += nth > 0;
	return (ssize_t)count;
}

static void fail_nth_release(struct file *file)
{
	struct fail_nth_file *ff = container_of(file, struct fail_nth_file, file);

	host_log(ff->host, IOMMUFD_LOG_INFO, "fail-nth of %d: armed %llu times, %llu injected",
		 ff->tid, (unsigned long long)ff->armed,
		 (unsigned long long)(atomic_load(&ff->state->injected) - ff->injected));
	free(ff);
}

static const struct file_ops fail_nth_ops = {
	.name = "fail-nth",
	.pread = fail_nth_read,
	.pwrite = fail_nth_write,
	.release = fail_nth_release,
};

long proc_fail_nth_open(struct call *call, const struct path_hit *hit, int open_flags)
{
	struct fail_nth_file *ff;

	if (open_flags & (O_PATH | O_DIRECTORY))
		return CALL_NATIVE;
	ff = zalloc(sizeof(*ff));
	if (!ff)
		return -ENOMEM;
	ff->host = call->host;
	ff->tid = hit->pid;
	ff->state = target_fault(call->host, hit->pid, true);
	if (!ff->state) {
		free(ff);
		return -ENOMEM;
	}
	ff->injected = atomic_load(&ff->state->injected);
	file_init(&ff->file, &fail_nth_ops, NULL, open_flags);
	return open_file_high(call, &ff->file, NULL, open_flags);
}
