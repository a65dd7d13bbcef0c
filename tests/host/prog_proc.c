/* SPDX-License-Identifier: MIT */
/*
 * Files of /proc: pinned memory shows in status, of oneself and of others, and
 * fail-nth makes the nth step of the next call fail.
 */
#include "prog.h"

#define LENGTH (256 * 4096)

static long status_value(const char *path, const char *key)
{
	FILE *f = fopen(path, "r");
	char line[256];
	long value = -1;

	CHECK(f);
	while (fgets(line, sizeof(line), f)) {
		if (!strncmp(line, key, strlen(key)))
			value = atol(line + strlen(key));
	}
	fclose(f);
	return value;
}

/* As many lines as the genuine one has, and the same keys. */
static int status_lines(const char *path)
{
	FILE *f = fopen(path, "r");
	char line[1024];
	int n = 0;

	CHECK(f);
	while (fgets(line, sizeof(line), f))
		n += strchr(line, ':') != NULL;
	fclose(f);
	return n;
}

static void pinned_memory_is_counted(void)
{
	void *va = mmap(NULL, LENGTH, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int lines = status_lines("/proc/self/status"), fd = open_iommu();
	uint32_t ioas = ioas_alloc(fd);
	char path[64];
	uint64_t iova;
	pid_t pid;

	CHECK(va != MAP_FAILED);
	CHECK(status_value("/proc/self/status", "VmPin:") == 0);
	mock_domain(fd, ioas);
	CHECK(ioas_map(fd, ioas, va, LENGTH, &iova) == 0);
	CHECK(status_value("/proc/self/status", "VmPin:") == LENGTH / 1024);
	CHECK(status_lines("/proc/self/status") == lines);
	snprintf(path, sizeof(path), "/proc/%d/status", getpid());
	CHECK(status_value(path, "VmPin:") == LENGTH / 1024);
	CHECK(status_value(path, "Pid:") == getpid());
	pid = fork();
	if (!pid) {
		/* The child sees its parent's, and none of its own. */
		CHECK(status_value(path, "VmPin:") == LENGTH / 1024);
		CHECK(status_value("/proc/self/status", "VmPin:") == 0);
		_exit(0);
	}
	CHECK(child_status(pid) == 0);
	close(fd);
	CHECK(status_value("/proc/self/status", "VmPin:") == 0);
}

static int fail_nth_open(void)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%d/fail-nth", getpid());
	fd = open(path, O_RDWR);
	CHECK(fd >= 0);
	return fd;
}

static void the_nth_step_fails(void)
{
	struct iommu_ioas_alloc cmd = { .size = sizeof(cmd) };
	int fd = open_iommu(), nth = fail_nth_open(), failed = 0;
	char text[16] = "";

	for (int n = 1; n < 1000; n++) {
		int rc;

		snprintf(text, sizeof(text), "%d", n);
		CHECK(pwrite(nth, text, strlen(text), 0) == (ssize_t)strlen(text));
		rc = ioctl(fd, IOMMU_IOAS_ALLOC, &cmd);
		memset(text, 0, sizeof(text));
		CHECK(pread(nth, text, sizeof(text), 0) >= 2);
		CHECK(pwrite(nth, "0", 1, 0) == 1);
		if (!rc) {
			/* It came through: what was left of n is told. */
			CHECK(atoi(text) > 0 && strchr(text, '\n'));
			break;
		}
		CHECK(!strcmp(text, "0\n"));
		CHECK(errno == ENOMEM || errno == EFAULT);
		failed++;
	}
	CHECK(failed >= 3);
	/* Read on from the position, as of any file. */
	CHECK(lseek(nth, 0, SEEK_SET) == 0 || errno == ESPIPE);
	CHECK_ERRNO(EINVAL, pwrite(nth, "x", 1, 0));
	CHECK_ERRNO(EINVAL, pwrite(nth, "-1", 2, 0));
	CHECK_ERRNO(EFAULT, syscall(SYS_pwrite64, nth, 8, 1, 0));
	/* A copy of the descriptor is the same file. */
	CHECK(write(dup(nth), "7", 1) == 1);
	memset(text, 0, sizeof(text));
	CHECK(pread(nth, text, sizeof(text), 0) == 2 && !strcmp(text, "7\n"));
	CHECK(write(nth, "0", 1) == 1);
	close(nth);
	close(fd);
}

int main(void)
{
	pinned_memory_is_counted();
	the_nth_step_fails();
	return 0;
}
