/* SPDX-License-Identifier: MIT */
/*
 * What the way in costs: an ioctl under `uiommufd run` beside the least a
 * user notification can do (with and without reading and writing a struct in
 * the other process), the start of a program, and a file-heavy program.
 *
 *	bench-trap COMMAND        all rows; COMMAND is the uiommufd to measure
 *	bench-trap --loop N       (inside) ns of one ioctl, printed
 *	bench-trap --register N   (inside) of one read of a register that is mapped but is a call
 *	bench-trap --region N     (inside) of the same read by pread()
 *	bench-trap --sysfs N      (inside) of opening, reading and closing a file of sysfs
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <iommufd/uapi/iommufd.h>
#include <iommufd/uapi/vfio.h>

#include "bench.h"

#define CALLS 20000
#define ROUNDS 5

#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1UL << 0)
#endif

/* ---- one ioctl, as seen by the program ---- */

static double ioctl_ns(int fd, long n)
{
	struct iommu_option option = { .size = sizeof(option),
				       .option_id = IOMMU_OPTION_RLIMIT_MODE,
				       .op = IOMMU_OPTION_OP_GET };
	uint64_t start = bench_now_ns();

	for (long i = 0; i < n; i++)
		bench_check(ioctl(fd, IOMMU_OPTION, &option) == 0, "ioctl");
	return (double)(bench_now_ns() - start) / n;
}

static int loop(long n)
{
	int fd = open("/dev/iommu", O_RDWR);

	bench_check(fd >= 0, "/dev/iommu");
	ioctl_ns(fd, n / 10);
	printf("%.1f\n", ioctl_ns(fd, n));
	return 0;
}

/* ---- a device ---- */

#define SYSFS_FILE "/sys/bus/pci/devices/0000:00:01.0/vendor"

/* The first device of the machine without options, whose registers are calls. */
static int device_open(uint64_t *ret_offset)
{
	struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind) };
	struct vfio_region_info info = { .argsz = sizeof(info),
					 .index = VFIO_PCI_BAR0_REGION_INDEX };
	int fd = open("/dev/vfio/devices/vfio0", O_RDWR);

	bind.iommufd = open("/dev/iommu", O_RDWR);
	bench_check(fd >= 0 && bind.iommufd >= 0, "/dev/vfio/devices/vfio0");
	bench_check(ioctl(fd, VFIO_DEVICE_BIND_IOMMUFD, &bind) == 0, "VFIO_DEVICE_BIND_IOMMUFD");
	bench_check(ioctl(fd, VFIO_DEVICE_GET_REGION_INFO, &info) == 0,
		    "VFIO_DEVICE_GET_REGION_INFO");
	*ret_offset = info.offset;
	return fd;
}

static int loop_register(long n)
{
	uint64_t offset, start;
	int fd = device_open(&offset);
	volatile uint32_t *regs = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, (off_t)offset);

	bench_check(regs != MAP_FAILED, "mmap of BAR 0");
	start = bench_now_ns();
	for (long i = 0; i < n; i++)
		(void)regs[0];
	printf("%.1f\n", (double)(bench_now_ns() - start) / n);
	return 0;
}

static int loop_region(long n)
{
	uint64_t offset, start;
	int fd = device_open(&offset);
	uint32_t value;

	start = bench_now_ns();
	for (long i = 0; i < n; i++)
		bench_check(pread(fd, &value, sizeof(value), (off_t)offset) == sizeof(value),
			    "pread");
	printf("%.1f\n", (double)(bench_now_ns() - start) / n);
	return 0;
}

static int loop_sysfs(long n)
{
	uint64_t start = bench_now_ns();
	char text[16];

	for (long i = 0; i < n; i++) {
		int fd = open(SYSFS_FILE, O_RDONLY);

		bench_check(fd >= 0 && read(fd, text, sizeof(text)) > 0, SYSFS_FILE);
		close(fd);
	}
	printf("%.1f\n", (double)(bench_now_ns() - start) / n);
	return 0;
}

/* ---- the least a notification can do ---- */

static int install_filter(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_ioctl, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IOMMU_OPTION, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { sizeof(code) / sizeof(code[0]), code };

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	return syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER,
		       &prog);
}

static void copy_struct(const struct seccomp_notif *req)
{
	struct iommu_option option;
	struct iovec local = { &option, sizeof(option) };
	struct iovec remote = { (void *)(uintptr_t)req->data.args[2], sizeof(option) };

	bench_check(process_vm_readv(req->pid, &local, 1, &remote, 1, 0) == sizeof(option),
		    "readv");
	bench_check(process_vm_writev(req->pid, &local, 1, &remote, 1, 0) == sizeof(option),
		    "writev");
}

static void serve(int listener, int copies)
{
	struct seccomp_notif req;
	struct seccomp_notif_resp resp;

	for (;;) {
		memset(&req, 0, sizeof(req));
		if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &req))
			return;
		if (copies) {
			copy_struct(&req);
			ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &req.id);
		}
		resp = (struct seccomp_notif_resp){ .id = req.id };
		if (ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &resp))
			return;
	}
}

static void bare_child(int to_parent, int result)
{
	int listener = install_filter();
	double ns;

	bench_check(listener >= 0, "seccomp");
	bench_check(write(to_parent, &listener, sizeof(listener)) == sizeof(listener), "write");
	ioctl_ns(-1, CALLS / 10);
	ns = ioctl_ns(-1, CALLS);
	bench_check(write(result, &ns, sizeof(ns)) == sizeof(ns), "write");
	_exit(0);
}

static double bare_ns(int copies)
{
	int pair[2], result[2], fd, pidfd, listener, server;
	double ns = 0;
	pid_t child;

	bench_check(!pipe(pair) && !pipe(result), "pipe");
	child = fork();
	if (!child)
		bare_child(pair[1], result[1]);
	bench_check(read(pair[0], &fd, sizeof(fd)) == sizeof(fd), "read");
	pidfd = syscall(__NR_pidfd_open, child, 0);
	listener = syscall(__NR_pidfd_getfd, pidfd, fd, 0);
	bench_check(listener >= 0, "pidfd_getfd");
	ioctl(listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP);
	server = fork();
	if (!server) {
		serve(listener, copies);
		_exit(0);
	}
	bench_check(read(result[0], &ns, sizeof(ns)) == sizeof(ns), "read");
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
	waitpid(child, NULL, 0);
	for (int i = 0; i < 2; i++) {
		close(pair[i]);
		close(result[i]);
	}
	close(listener);
	close(pidfd);
	return ns;
}

/* ---- programs ---- */

static double run_ns(const char *shell, double *ret_printed)
{
	char text[64] = "";
	uint64_t start = bench_now_ns();
	FILE *out = popen(shell, "r");

	bench_check(out != NULL, shell);
	if (fgets(text, sizeof(text), out) && ret_printed)
		*ret_printed = atof(text);
	bench_check(pclose(out) == 0, shell);
	return bench_now_ns() - start;
}

static double best(double *values, int n)
{
	double best = values[0];

	for (int i = 1; i < n; i++)
		best = values[i] < best ? values[i] : best;
	return best;
}

static void row(const char *name, double ns, const char *baseline, double baseline_ns,
		const char *aim)
{
	printf("{\"name\": \"%s\", \"ns\": %.0f, \"baseline\": \"%s\", \"baseline_ns\": %.0f, "
	       "\"ratio\": %.2f%s}\n",
	       name, ns, baseline, baseline_ns, ns / baseline_ns, aim);
	fflush(stdout);
}

static void row_ioctl(const char *self, const char *command)
{
	double ours[ROUNDS], bare[ROUNDS], copied[ROUNDS];
	char shell[4096];

	snprintf(shell, sizeof(shell), "%s run -- %s --loop %d", command, self, CALLS);
	for (int i = 0; i < ROUNDS; i++) {
		run_ns(shell, &ours[i]);
		bare[i] = bare_ns(0);
		copied[i] = bare_ns(1);
	}
	row("trapped ioctl", best(ours, ROUNDS), "bare notification, struct read and written",
	    best(copied, ROUNDS), ", \"aim_ratio\": 1.3");
	row("trapped ioctl", best(ours, ROUNDS), "bare notification", best(bare, ROUNDS), "");
}

static void row_device(const char *self, const char *command, const char *option, const char *name,
		       const char *aim)
{
	double ours[ROUNDS], bare[ROUNDS];
	char shell[4096];

	snprintf(shell, sizeof(shell), "%s run -- %s %s %d", command, self, option, CALLS);
	for (int i = 0; i < ROUNDS; i++) {
		run_ns(shell, &ours[i]);
		bare[i] = bare_ns(0);
	}
	row(name, best(ours, ROUNDS), "bare notification", best(bare, ROUNDS), aim);
}

static void row_program(const char *name, const char *command, const char *program, const char *aim)
{
	double ours[ROUNDS], plain[ROUNDS];
	char shell[4096];

	snprintf(shell, sizeof(shell), "%s run -- %s", command, program);
	for (int i = 0; i < ROUNDS; i++) {
		ours[i] = run_ns(shell, NULL);
		plain[i] = run_ns(program, NULL);
	}
	row(name, best(ours, ROUNDS), "without us", best(plain, ROUNDS), aim);
}

/* A tree of 20000 files under git, made once below the temporary directory. */
static int make_tree(char *dir)
{
	char shell[4096];

	if (!mkdtemp(dir))
		return 0;
	snprintf(shell, sizeof(shell),
		 "cd %s && git init -q . && for d in $(seq 200); do mkdir d$d; "
		 "for f in $(seq 100); do echo $d $f >d$d/f$f; done; done && git add . && "
		 "git -c gc.auto=0 -c maintenance.auto=false -c user.name=b -c user.email=b@b "
		 "commit -qm tree",
		 dir);
	return system(shell) == 0;
}

int main(int argc, char **argv)
{
	char dir[] = "/tmp/bench-tree.XXXXXX", self[4096] = "", shell[4200];

	if (argc == 3 && !strcmp(argv[1], "--loop"))
		return loop(atol(argv[2]));
	if (argc == 3 && !strcmp(argv[1], "--register"))
		return loop_register(atol(argv[2]));
	if (argc == 3 && !strcmp(argv[1], "--region"))
		return loop_region(atol(argv[2]));
	if (argc == 3 && !strcmp(argv[1], "--sysfs"))
		return loop_sysfs(atol(argv[2]));
	if (argc != 2) {
		fprintf(stderr, "usage: bench-trap COMMAND\n");
		return 2;
	}
	bench_check(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0, "/proc/self/exe");
	row_ioctl(self, argv[1]);
	row_device(self, argv[1], "--register", "mapped register that is a call",
		   ", \"aim_ns\": 20000");
	row_device(self, argv[1], "--region", "register by pread", "");
	row_device(self, argv[1], "--sysfs", "open, read, close of a file of sysfs", "");
	row_program("run -- true", argv[1], "true", ", \"aim_ns\": 20000000");
	if (make_tree(dir)) {
		snprintf(shell, sizeof(shell), "git -C %s status", dir);
		row_program("git status, 20000 files", argv[1], shell, "");
		snprintf(shell, sizeof(shell), "find %s -type f -size +100M", dir);
		row_program("find -size, 20000 files", argv[1], shell, "");
	}
	snprintf(shell, sizeof(shell), "rm -rf %s", dir);
	return system(shell) != 0;
}
