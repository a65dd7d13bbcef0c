/* SPDX-License-Identifier: MIT */
/*
 * A program before a machine of this test's own (machine.h).
 *
 *	machine [no-namespaces]             the test
 *	machine speed                       what an access to a register costs
 */
#include "machine.h"

#include <dirent.h>
#include <time.h>

/* The machine goes when all are dead, and their files before it; main() looks. */
static void what_dies_slowly_has_its_files_closed(void)
{
	const size_t much = 256 << 20;
	void *va = mmap(NULL, much, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(va != MAP_FAILED);
	memset(va, 1, much);
}

static double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

static int speed(void)
{
	enum { N = 20000 };
	volatile u8 *regs;
	double start;
	int calls;
	u32 value;

	calls = open("/dev/machine/calls", O_RDWR);
	CHECK(calls >= 0);
	start = now_us();
	for (int i = 0; i < N; i++)
		CHECK(pread(calls, &value, 4, BAR(0) + 16) == 4);
	printf("a read by pread()      %6.2f us\n", (now_us() - start) / N);
	regs = mmap(NULL, BAR_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, calls, BAR(0));
	CHECK(regs != MAP_FAILED);
	start = now_us();
	for (int i = 0; i < N; i++)
		(void)*(volatile u32 *)(regs + 16);
	printf("a read of a register   %6.2f us\n", (now_us() - start) / N);
	start = now_us();
	for (int i = 0; i < N; i++)
		*(volatile u32 *)(regs + 16) = (u32)i;
	printf("a write of a register  %6.2f us\n", (now_us() - start) / N);
	start = now_us();
	for (int i = 0; i < N / 10; i++)
		close(open(PCI_DEV "/vendor", O_RDONLY));
	printf("open of a constant file %5.2f us\n", (now_us() - start) / (N / 10));
	start = now_us();
	for (int i = 0; i < N / 10; i++)
		close(open(PCI_DEV "/seen", O_RDONLY));
	printf("open of a shown file    %5.2f us\n", (now_us() - start) / (N / 10));
	return 0;
}

static int program(void)
{
	bool namespaces = !access("/dev/machine", F_OK) && !access("/proc/self/ns/mnt", F_OK) &&
			  opendir("/dev/machine");

	files_are_as_linux_has_them(namespaces);
	registers_can_be_calls();
	what_dies_slowly_has_its_files_closed();
	return 0;
}

static void machine_log(void *data, enum iommufd_log_level level, const char *line)
{
	fprintf(stderr, "%s\n", line);
}

int main(int argc, char **argv)
{
	struct host_opts opts = {
		.start = machine_start,
		.stop = machine_stop,
		.log = { .fn = machine_log, .level = IOMMUFD_LOG_INFO },
		.no_namespaces = argc > 1 && !strcmp(argv[1], "no-namespaces"),
	};
	char self[4096];
	char word[] = "program", speed_word[] = "run-speed";
	char *args[] = { self, argc > 1 && !strcmp(argv[1], "speed") ? speed_word : word, NULL };
	ssize_t len;
	int status;

	/* No look for leaks at its end: a sanitizer cannot do that to a traced process. */
	if (argc > 1 && !strcmp(argv[1], "program"))
		_exit(program());
	if (argc > 1 && !strcmp(argv[1], "run-speed"))
		return speed();
	if (argc > 1 && !strcmp(argv[1], "traced"))
		return traced();
	len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (len < 0)
		return 1;
	self[len] = 0;
	left_open = mmap(NULL, sizeof(*left_open), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (left_open == MAP_FAILED)
		return 1;
	status = host_run(&opts, args);
	if (*left_open)
		fprintf(stderr, "%d files were open when the machine ended\n", *left_open);
	if (*left_open && !status)
		return 1;
	return status == 125 ? 77 : status;
}
