/* SPDX-License-Identifier: MIT */
/*
 * Files of the kernel that tell or steer what happens in here: fail-nth of a
 * thread, the pinned memory in /proc/self/status, and the part of debugfs that
 * fault-injection tests look for before they believe that it works.
 */
#include "host/preload/preload.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"

/* ---- fail-nth ---- */

/**
 * struct fail_nth_file - /proc/self/task/TID/fail-nth
 * @tid: the counter is the thread's own, so only that thread can use the file
 */
struct fail_nth_file {
	struct file file;
	pid_t tid;
};

/* Copies here answer for the way in: no points that fail, so what was armed can be disarmed. */
static ssize_t fail_nth_pread(struct file *file, u64 ubuf, size_t count, u64 pos)
{
	const struct fail_nth_file *ff = container_of(file, struct fail_nth_file, file);
	char text[16];
	size_t len;

	if (ff->tid != gettid())
		return -EINVAL;
	len = (size_t)snprintf(text, sizeof(text), "%u\n", iommufd_fail_nth_get());
	if (pos >= len)
		return 0;
	len = MIN(len - pos, count);
	return mem_guard_copy((void *)(uintptr_t)ubuf, text + pos, len) ?: (ssize_t)len;
}

static ssize_t fail_nth_pwrite(struct file *file, u64 ubuf, size_t count, u64 pos)
{
	const struct fail_nth_file *ff = container_of(file, struct fail_nth_file, file);
	char text[16] = "";
	unsigned long nth;
	char *end;

	if (ff->tid != gettid() || !count || count >= sizeof(text))
		return -EINVAL;
	if (mem_guard_copy(text, (const void *)(uintptr_t)ubuf, count))
		return -EFAULT;
	if (*text < '0' || *text > '9')
		return -EINVAL;
	nth = strtoul(text, &end, 0);
	end += *end == '\n';
	if (*end || nth > INT_MAX)
		return -EINVAL;
	iommufd_fail_nth_set((u32)nth);
	return (ssize_t)count;
}

static void fail_nth_release(struct file *file)
{
	free(container_of(file, struct fail_nth_file, file));
}

static const struct file_ops fail_nth_ops = {
	.name = "/proc/self/fail-nth",
	.pread = fail_nth_pread,
	.pwrite = fail_nth_pwrite,
	.release = fail_nth_release,
};

int fail_nth_open(struct iommufd_process *proc, int tid, int open_flags)
{
	struct fail_nth_file *ff;

	/* Signal 0 only asks whether there is such a thread here. */
	if (tid != gettid() && syscall(SYS_tgkill, getpid(), tid, 0))
		return -ENOENT;
	ff = zalloc(sizeof(*ff));
	if (!ff)
		return -ENOMEM;
	ff->tid = tid;
	file_init(&ff->file, &fail_nth_ops, proc->system, open_flags);
	return self_adopt(proc, &ff->file);
}

/* ---- status ---- */

#define STATUS_MAX 16384

/* Add @pages to the line that begins with @key; it keeps its shape, "%8lu kB" after a tab. */
static void status_add(char *text, size_t size, const char *key, u64 pages)
{
	char *line = strstr(text, key);
	char value[32];
	size_t old_len, new_len;
	char *end;
	u64 kib;

	if (!line)
		return;
	line += strlen(key);
	kib = strtoull(line, &end, 10) + pages * (PAGE_SIZE / 1024);
	old_len = (size_t)(end - line);
	new_len = (size_t)snprintf(value, sizeof(value), "\t%8llu", (unsigned long long)kib);
	if (strlen(text) - old_len + new_len + 1 > size)
		return;
	memmove(line + new_len, end, strlen(end) + 1);
	memcpy(line, value, new_len);
}

static ssize_t status_read(char *text, size_t size)
{
	int fd = open("/proc/thread-self/status", O_RDONLY | O_CLOEXEC);
	ssize_t len = 0, n;

	if (fd < 0)
		return -errno;
	do {
		n = read(fd, text + len, size - 1 - (size_t)len);
		len += MAX(n, 0);
	} while (n > 0);
	close(fd);
	text[len] = 0;
	return len;
}

static int text_file(const char *text, int open_flags)
{
	size_t len = strlen(text);
	int fd = memfd_create("status", MFD_CLOEXEC);
	int low, rc = 0;

	if (fd < 0)
		return -errno;
	low = fcntl(fd, open_flags & O_CLOEXEC ? F_DUPFD_CLOEXEC : F_DUPFD, 0);
	if (low < 0 || write(fd, text, len) != (ssize_t)len || lseek(fd, 0, SEEK_SET))
		rc = -errno;
	close(fd);
	if (rc) {
		if (low >= 0)
			close(low);
		return rc;
	}
	/* From here on it is the program's. */
	fd_mark_clear(low, MARK_INTERNAL);
	return low;
}

int status_open(int open_flags)
{
	struct iommufd_process *proc = preload_proc();
	char text[STATUS_MAX];
	ssize_t len;

	len = status_read(text, sizeof(text));
	if (len < 0)
		return (int)len;
	status_add(text, sizeof(text), "\nVmLck:", mm_locked_pages(proc->mm));
	status_add(text, sizeof(text), "\nVmPin:", mm_pinned_pages(proc->mm));
	return text_file(text, open_flags);
}

/* ---- debugfs ---- */

/* What is looked for, with the values that it has where injection is compiled in. */
static const struct debugfs_file {
	const char *path, *text;
} debugfs_files[] = {
	{ "failslab", NULL },
	{ "failslab/ignore-gfp-wait", "Y\n" },
	{ "failslab/verbose", "2\n" },
	{ "fail_page_alloc", NULL },
	{ "fail_page_alloc/ignore-gfp-wait", "Y\n" },
	{ "fail_page_alloc/ignore-gfp-highmem", "Y\n" },
	{ "fail_page_alloc/verbose", "2\n" },
	{ "fail_usercopy", NULL },
	{ "fail_usercopy/verbose", "2\n" },
};

static char debugfs_dir[64];
static pid_t debugfs_owner;
static pthread_once_t debugfs_once = PTHREAD_ONCE_INIT;

static int debugfs_file_make(int dir, const struct debugfs_file *entry)
{
	size_t len = entry->text ? strlen(entry->text) : 0;
	int fd;

	if (!entry->text)
		return mkdirat(dir, entry->path, 0700);
	fd = openat(dir, entry->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -1;
	if (write(fd, entry->text, len) != (ssize_t)len) {
		close(fd);
		return -1;
	}
	return close(fd);
}

static void debugfs_remove(void)
{
	int dir = open(debugfs_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0)
		return;
	for (size_t i = ARRAY_SIZE(debugfs_files); i-- > 0;)
		unlinkat(dir, debugfs_files[i].path, debugfs_files[i].text ? 0 : AT_REMOVEDIR);
	close(dir);
	rmdir(debugfs_dir);
	debugfs_dir[0] = 0;
}

static void debugfs_make(void)
{
	const char *tmp = getenv("TMPDIR");
	int dir;

	if (!tmp || *tmp != '/' || strlen(tmp) > 32)
		tmp = "/tmp";
	snprintf(debugfs_dir, sizeof(debugfs_dir), "%s/uiommufd-debug-XXXXXX", tmp);
	if (!mkdtemp(debugfs_dir)) {
		debugfs_dir[0] = 0;
		return;
	}
	debugfs_owner = getpid();
	dir = open(debugfs_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (size_t i = 0; dir >= 0 && i < ARRAY_SIZE(debugfs_files); i++) {
		if (debugfs_file_make(dir, &debugfs_files[i])) {
			close(dir);
			dir = -1;
		}
	}
	if (dir < 0)
		debugfs_remove();
	else
		close(dir);
}

bool debugfs_path(const char *rest, char *buf, size_t size)
{
	int n;

	pthread_once(&debugfs_once, debugfs_make);
	if (!debugfs_dir[0])
		return false;
	n = snprintf(buf, size, "%s%s", debugfs_dir, rest);
	return n > 0 && (size_t)n < size;
}

/* Children share the directory; whoever made it takes it away. */
__attribute__((destructor)) static void debugfs_end(void)
{
	if (debugfs_dir[0] && debugfs_owner == getpid())
		debugfs_remove();
}
