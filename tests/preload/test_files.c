/* SPDX-License-Identifier: MIT */
/*
 * Memory, signals and the kernel's files in a preloaded program.
 */
#include "program.h"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>

/* ---- memory ---- */

static void a_device_reads_and_writes_the_programs_memory(void **state)
{
	char *memory = memory_map(2 * PAGE);
	char buf[16] = "";
	int fd = iommu_open();
	int ioas = ioas_alloc(fd);
	int access_fd = access_open(fd, ioas);

	strcpy(memory + PAGE - 4, "across");
	assert_int_equal(ioas_map(fd, ioas, memory, 2 * PAGE, 0x10000), 0);
	assert_int_equal(access_rw(fd, access_fd, 0x10000 + PAGE - 4, buf, 7, 0), 0);
	assert_string_equal(buf, "across");
	assert_int_equal(access_rw(fd, access_fd, 0x10000, "written", 8, MOCK_ACCESS_RW_WRITE), 0);
	assert_string_equal(memory, "written");
	close(access_fd);
	close(fd);
	munmap(memory, 2 * PAGE);
}

static void memory_that_has_gone_is_a_fault_of_the_device(void **state)
{
	char *memory = memory_map(2 * PAGE);
	char buf[16];
	int fd = iommu_open();
	int ioas = ioas_alloc(fd);
	int access_fd = access_open(fd, ioas);

	assert_int_equal(mock_attach(fd, ioas) > 0, 1);
	memset(memory, 1, 2 * PAGE);
	assert_int_equal(ioas_map(fd, ioas, memory, 2 * PAGE, MOCK_APERTURE_START), 0);
	assert_int_equal(munmap(memory, 2 * PAGE), 0);
	assert_int_equal(access_rw(fd, access_fd, MOCK_APERTURE_START, buf, 8, 0), -1);
	assert_int_equal(errno, EFAULT);
	close(access_fd);
	close(fd);
}

/* ---- signals ---- */

static sigjmp_buf back;
static volatile sig_atomic_t caught;
static int *volatile nowhere = NULL;

static void on_fault(int sig)
{
	caught = sig;
	siglongjmp(back, 1);
}

static void on_fault_info(int sig, siginfo_t *info, void *ucontext)
{
	caught = info->si_addr == nowhere ? sig : -1;
	siglongjmp(back, 1);
}

/* It is the signal that is wanted, not the sanitizer's word about it. */
__attribute__((no_sanitize("undefined"))) static void touch_nowhere(void)
{
	*(volatile int *)nowhere = 1;
}

/* A bad pointer makes the core fault; that is not for the program's handler. */
static void assert_core_survives(int fd)
{
	caught = 0;
	assert_int_equal(ioctl(fd, IOMMU_IOAS_ALLOC, (void *)8), -1);
	assert_int_equal(errno, EFAULT);
	assert_int_equal(caught, 0);
}

static void the_programs_handler_gets_its_own_faults_only(void **state)
{
	struct sigaction action = { .sa_sigaction = on_fault_info, .sa_flags = SA_SIGINFO };
	struct sigaction before, seen;
	int fd = iommu_open();

	sigaddset(&action.sa_mask, SIGUSR2);
	assert_int_equal(sigaction(SIGSEGV, &action, &before), 0);
	assert_int_equal(sigaction(SIGSEGV, NULL, &seen), 0);
	assert_ptr_equal(seen.sa_sigaction, on_fault_info);
	assert_true(sigismember(&seen.sa_mask, SIGUSR2));
	assert_core_survives(fd);
	if (!sigsetjmp(back, 1))
		touch_nowhere();
	assert_int_equal(caught, SIGSEGV);
	assert_core_survives(fd);
	assert_int_equal(sigaction(SIGSEGV, &before, NULL), 0);
	assert_core_survives(fd);
	close(fd);
}

static void signal_says_which_handler_was_there(void **state)
{
	struct sigaction before;

	assert_int_equal(sigaction(SIGBUS, NULL, &before), 0);
	signal(SIGBUS, SIG_DFL);
	assert_ptr_equal(signal(SIGBUS, on_fault), SIG_DFL);
	if (!sigsetjmp(back, 1))
		raise(SIGBUS);
	assert_int_equal(caught, SIGBUS);
	assert_ptr_equal(signal(SIGBUS, SIG_IGN), on_fault);
	assert_int_equal(raise(SIGBUS), 0);
	assert_ptr_equal(signal(SIGBUS, SIG_DFL), SIG_IGN);
	assert_int_equal(sigaction(SIGBUS, &before, NULL), 0);
}

static void a_handler_for_once_is_gone_afterwards(void **state)
{
	struct sigaction action = { .sa_handler = on_fault, .sa_flags = (int)SA_RESETHAND };
	struct sigaction before, seen;
	int fd = iommu_open();

	assert_int_equal(sigaction(SIGSEGV, &action, &before), 0);
	if (!sigsetjmp(back, 1))
		touch_nowhere();
	assert_int_equal(caught, SIGSEGV);
	assert_int_equal(sigaction(SIGSEGV, &before, &seen), 0);
	assert_ptr_equal(seen.sa_handler, SIG_DFL);
	assert_core_survives(fd);
	close(fd);
}

static int child_faults(void *data)
{
	int fd = iommu_open();

	signal(SIGSEGV, SIG_DFL);
	ioctl(fd, IOMMU_IOAS_ALLOC, (void *)8);
	touch_nowhere();
	return 0;
}

static int child_is_sent_a_signal(void *data)
{
	iommu_open();
	signal(SIGSEGV, SIG_DFL);
	kill(getpid(), SIGSEGV);
	return 0;
}

static void without_a_handler_a_fault_kills(void **state)
{
	int status = in_child(child_faults, NULL);

	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSEGV);
	status = in_child(child_is_sent_a_signal, NULL);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSEGV);
}

/* ---- /proc ---- */

static long status_value(const char *path, const char *key)
{
	FILE *status = fopen(path, "r");
	char line[256];
	long value = -1;

	assert_non_null(status);
	while (fgets(line, sizeof(line), status)) {
		if (!strncmp(line, key, strlen(key)))
			assert_int_equal(sscanf(line + strlen(key), ": %ld kB\n", &value), 1);
	}
	fclose(status);
	return value;
}

static void status_counts_pinned_memory(void **state)
{
	char *memory = memory_map(4 * PAGE);
	int fd = iommu_open();
	int ioas = ioas_alloc(fd);
	char path[64];
	long before;

	snprintf(path, sizeof(path), "/proc/%d/status", getpid());
	before = status_value(path, "VmPin");
	assert_true(before >= 0);
	assert_true(mock_attach(fd, ioas) > 0);
	assert_int_equal(ioas_map(fd, ioas, memory, 4 * PAGE, MOCK_APERTURE_START), 0);
	assert_int_equal(status_value(path, "VmPin"), before + 16);
	assert_int_equal(status_value("/proc/self/status", "VmPin"), before + 16);
	close(fd);
	assert_int_equal(status_value("/proc/self/status", "VmPin"), before);
	munmap(memory, 4 * PAGE);
}

static void status_is_read_by_descriptor_too(void **state)
{
	int iommu = iommu_open();
	int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	char text[4096];
	ssize_t len;

	assert_int_equal(fd, iommu + 1);
	len = read(fd, text, sizeof(text) - 1);
	assert_true(len > 0);
	text[len] = 0;
	assert_non_null(strstr(text, "\nVmPin:\t"));
	assert_non_null(strstr(text, "\nVmLck:\t"));
	assert_int_equal(close(fd), 0);
	close(iommu);
}

static int fail_nth_open(void)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/task/%d/fail-nth", (int)syscall(SYS_gettid));
	return open(path, O_RDWR);
}

static void fail_nth_makes_the_nth_step_fail_once(void **state)
{
	int nth = fail_nth_open();
	int fd = iommu_open();
	char text[8] = "";

	assert_true(nth >= 0);
	assert_int_equal(pread(nth, text, sizeof(text), 0), 2);
	assert_string_equal(text, "0\n");
	assert_int_equal(pwrite(nth, "1", 1, 0), 1);
	assert_int_equal(ioas_alloc(fd), -1);
	assert_int_equal(pread(nth, text, sizeof(text), 0), 2);
	assert_string_equal(text, "0\n");
	assert_int_equal(ioas_alloc(fd), 1);
	/* Armed and not reached, it tells so, and can be taken back. */
	assert_int_equal(write(nth, "1000", 4), 4);
	assert_int_equal(ioas_alloc(fd), 2);
	assert_true(pread(nth, text, sizeof(text), 0) > 2);
	assert_int_equal(pwrite(nth, "0", 1, 0), 1);
	assert_int_equal(pwrite(nth, "x", 1, 0), -1);
	assert_int_equal(errno, EINVAL);
	close(nth);
	close(fd);
}

static void *thread_writes(void *data)
{
	return (void *)(write(*(int *)data, "1", 1) < 0 ? (long)errno : 0);
}

static void fail_nth_belongs_to_its_thread(void **state)
{
	int nth = fail_nth_open();
	pthread_t thread;
	void *result;

	assert_int_equal(pthread_create(&thread, NULL, thread_writes, &nth), 0);
	assert_int_equal(pthread_join(thread, &result), 0);
	assert_int_equal((long)result, EINVAL);
	close(nth);
	assert_int_equal(open("/proc/self/task/1/fail-nth", O_RDWR), -1);
	assert_int_equal(errno, ENOENT);
}

/* ---- debugfs ---- */

static void debugfs_says_that_failures_can_be_injected(void **state)
{
	DIR *dir = opendir("/sys/kernel/debug/");
	struct dirent *entry;
	int seen = 0;
	int fd;

	assert_non_null(dir);
	while ((entry = readdir(dir)))
		seen += !strncmp(entry->d_name, "fail", 4);
	assert_true(seen >= 2);
	fd = openat(dirfd(dir), "failslab/ignore-gfp-wait", O_WRONLY);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "N", 1), 1);
	close(fd);
	closedir(dir);
	fd = open("/sys/kernel/debug/fail_page_alloc/verbose", O_RDONLY);
	assert_true(fd >= 0);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_device_reads_and_writes_the_programs_memory),
		cmocka_unit_test(memory_that_has_gone_is_a_fault_of_the_device),
		cmocka_unit_test(the_programs_handler_gets_its_own_faults_only),
		cmocka_unit_test(signal_says_which_handler_was_there),
		cmocka_unit_test(a_handler_for_once_is_gone_afterwards),
		cmocka_unit_test(without_a_handler_a_fault_kills),
		cmocka_unit_test(status_counts_pinned_memory),
		cmocka_unit_test(status_is_read_by_descriptor_too),
		cmocka_unit_test(fail_nth_makes_the_nth_step_fail_once),
		cmocka_unit_test(fail_nth_belongs_to_its_thread),
		cmocka_unit_test(debugfs_says_that_failures_can_be_injected),
	};

	return cmocka_run_group_tests_name("preload_files", tests, NULL, NULL);
}
