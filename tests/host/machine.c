/* SPDX-License-Identifier: MIT */
/*
 * The way in before a machine of this test's own: files of sysfs that come, go and
 * are written to, and two devices, one whose registers are memory and one whose
 * registers are calls.  As fake.c, this program supervises itself.
 *
 *	machine [no-namespaces]             the test
 *	machine speed                       what an access to a register costs
 */
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "core/ctx.h"
#include "core/system.h"
#include "core/tree.h"
#include "host/host.h"
#include "iommufd/mock.h"
#include "iommufd/uapi/iommufd.h"
#include "iommufd/uapi/iommufd_test.h"
#include "mem/device_mem.h"
#include "mem/task.h"
#include "pci/pci.h"
#include "prog.h"

#define CMD(nr) (0x3b00u + (nr))
#define CMD_PLUG CMD(0x90)     /* argument 1: another device appears, 0: it goes */
#define CMD_STORED CMD(0x91)   /* the number last stored */
#define CMD_LAST CMD(0x92)     /* size of the last access, plus 0x100 for a write */
#define CMD_MAPS CMD(0x93)     /* mappings that have not ended */

#define CMD_FAIL CMD(0x95)     /* n: the nth allocation from now on fails, 0: none; what was left */

#define BAR_SIZE 8192
#define BAR(n) ((off_t)PCI_REGION_OFFSET(n))

/* ================= the supervisor's half ================= */

static struct iommufd_system *machine;
static _Atomic int stored;
static _Atomic int opened;
static _Atomic int *left_open; /* as main() sees it: what was, when the machine ended */

struct dev {
	struct file file;
	bool trapped;
	struct mem_device *memory;
	struct mem_run run;
	int fd;
	_Atomic int maps;
	_Atomic u32 last;
	u8 regs[BAR_SIZE] __attribute__((aligned(64)));
};

static struct dev *to_dev(struct file *file)
{
	return container_of(file, struct dev, file);
}

static int dev_access(struct file *file, u64 pos, void *data, unsigned int size, bool write)
{
	struct dev *dev = to_dev(file);
	u64 at = pos - PCI_REGION_OFFSET(0);

	/* The last register is one that does not answer. */
	if (at > BAR_SIZE - 8 - size)
		return -EIO;
	dev->last = size | (write ? 0x100 : 0);
	memcpy(write ? dev->regs + at : data, write ? data : dev->regs + at, size);
	return 0;
}

static ssize_t dev_io(struct file *file, u64 ubuf, size_t count, u64 pos, bool write)
{
	struct dev *dev = to_dev(file);
	u64 at = pos - PCI_REGION_OFFSET(0);

	if (at >= BAR_SIZE)
		return -EINVAL;
	count = MIN(count, BAR_SIZE - (size_t)at);
	if (write ? copy_from_user(dev->regs + at, ubuf, count) :
		    copy_to_user(ubuf, dev->regs + at, count))
		return -EFAULT;
	return (ssize_t)count;
}

static ssize_t dev_pread(struct file *file, u64 ubuf, size_t count, u64 pos)
{
	return dev_io(file, ubuf, count, pos, false);
}

static ssize_t dev_pwrite(struct file *file, u64 ubuf, size_t count, u64 pos)
{
	return dev_io(file, ubuf, count, pos, true);
}

static int dev_mmap(struct file *file, u64 length, int prot, int flags, u64 offset,
		    struct file_map *ret_map)
{
	struct dev *dev = to_dev(file);

	if ((flags & MAP_TYPE) == MAP_PRIVATE || PCI_REGION_INDEX(offset) ||
	    offset - PCI_REGION_OFFSET(0) + length > BAR_SIZE)
		return -EINVAL;
	dev->maps++;
	*ret_map = (struct file_map){ .host_fd = dev->fd, .host_offset = offset, .length = length,
				      .trapped = dev->trapped };
	return 0;
}

static void dev_unmap(struct file *file, void *cookie)
{
	to_dev(file)->maps--;
}

static int dev_memory(struct dev *dev)
{
	int rc;

	if (dev->memory)
		return 0;
	rc = dev->file.host_memory(&dev->file, false, &dev->fd);
	if (!rc)
		rc = mem_device_create(machine->mem, dev->fd, false, &dev->memory);
	if (!rc)
		rc = mem_device_provide(dev->memory, PCI_REGION_OFFSET(0), BAR_SIZE, &dev->run);
	if (!rc)
		rc = mem_run_write(&dev->run, 0, "registers", 9);
	return rc;
}

static struct tree_entry plugged[];

static long dev_ioctl(struct file *file, unsigned int cmd, u64 arg)
{
	struct dev *dev = to_dev(file);
	u64 injected;
	long left;
	int rc = 0;

	switch (cmd) {
	case CMD_PLUG:
		for (size_t i = 0; i < 4 && !rc; i++) {
			if (arg)
				rc = tree_add(&machine->tree, &plugged[i]);
			else
				tree_remove(&machine->tree, &plugged[i]);
		}
		return rc;
	case CMD_STORED:
		return stored;
	case CMD_LAST:
		return dev->last;
	case CMD_MAPS:
		file_settle(file);
		return dev->maps;
	case CMD(0x94): /* make the memory */
		return dev_memory(dev);
	case CMD_FAIL:
		left = (long)fault_named_left(&injected);
		fault_named_set("alloc", arg ? (u32)arg - 1 : 0, arg != 0);
		return left;
	default:
		return -ENOTTY;
	}
}

static void dev_release(struct file *file)
{
	struct dev *dev = to_dev(file);

	if (dev->maps)
		fprintf(stderr, "%d mappings never ended\n", dev->maps);
	if (dev->memory) {
		mem_device_withdraw(dev->memory, PCI_REGION_OFFSET(0), &dev->run);
		mem_device_free(dev->memory);
	}
	free(dev);
	opened--;
}

static const struct file_ops dev_ops = {
	.name = "dev",
	.ioctl = dev_ioctl,
	.pread = dev_pread,
	.pwrite = dev_pwrite,
	.mmap = dev_mmap,
	.unmap = dev_unmap,
	.access = dev_access,
	.release = dev_release,
};

static int dev_open(struct tree_entry *entry, int open_flags, struct file **ret_file)
{
	struct dev *dev;

	if (posix_memalign((void **)&dev, 64, sizeof(*dev)))
		return -ENOMEM;
	memset(dev, 0, sizeof(*dev));
	dev->fd = -1;
	dev->trapped = entry->minor == 1;
	memcpy(dev->regs, "registers", 9);
	file_init(&dev->file, &dev_ops, machine, open_flags);
	*ret_file = &dev->file;
	opened++;
	return 0;
}

static int iommu_open(struct tree_entry *entry, int open_flags, struct file **ret_file)
{
	struct iommufd_ctx *ctx;
	int rc = ctx_open(machine, 0, open_flags, &ctx);

	if (!rc)
		*ret_file = &ctx->file;
	return rc;
}

static ssize_t vendor_show(struct tree_entry *entry, char *buf)
{
	return sprintf(buf, "0x8086\n");
}

static ssize_t count_show(struct tree_entry *entry, char *buf)
{
	return sprintf(buf, "%d\n", stored);
}

static int count_store(struct tree_entry *entry, const char *text, size_t len)
{
	int value = atoi(text);

	if (value > 100)
		return -ERANGE;
	stored = value;
	return 0;
}

static ssize_t config_read(struct tree_entry *entry, void *buf, size_t len, u64 pos)
{
	size_t n = pos < 256 ? MIN(len, (size_t)(256 - pos)) : 0;

	for (size_t i = 0; i < n; i++)
		((u8 *)buf)[i] = (u8)(pos + i + (size_t)stored);
	return (ssize_t)n;
}

#define PCI_DEV "/sys/devices/pci0000:00/0000:00:05.0"

static struct tree_entry names[] = {
	{ .path = "/dev/machine/memory",
	  .kind = TREE_NODE,
	  .mode = 0600,
	  .major = 511,
	  .minor = 0,
	  .open = dev_open },
	{ .path = "/dev/machine/calls",
	  .kind = TREE_NODE,
	  .mode = 0600,
	  .major = 511,
	  .minor = 1,
	  .open = dev_open },
	{ .path = "/dev/iommu",
	  .kind = TREE_NODE,
	  .mode = 0600,
	  .major = 10,
	  .minor = 126,
	  .open = iommu_open },
	{ .path = "/dev/vfio/devices/vfio0",
	  .kind = TREE_NODE,
	  .mode = 0600,
	  .major = 509,
	  .minor = 0,
	  .open = dev_open },
	{ .path = "/dev/char/511:0", .kind = TREE_LINK, .target = "../machine/memory" },
	{ .path = "/sys/bus/pci/devices/0000:00:05.0",
	  .kind = TREE_LINK,
	  .target = "../../../devices/pci0000:00/0000:00:05.0" },
	{ .path = PCI_DEV "/vendor",
	  .kind = TREE_ATTR,
	  .mode = 0444,
	  .show = vendor_show,
	  .constant = true },
	{ .path = PCI_DEV "/count",
	  .kind = TREE_ATTR,
	  .mode = 0644,
	  .show = count_show,
	  .store = count_store },
	{ .path = PCI_DEV "/seen", .kind = TREE_ATTR, .mode = 0444, .show = count_show },
	{ .path = PCI_DEV "/config",
	  .kind = TREE_ATTR,
	  .mode = 0444,
	  .read_at = config_read,
	  .size = 256 },
	{ .path = PCI_DEV "/empty", .kind = TREE_DIR },
	{ .path = "/sys/kernel/iommu_groups", .kind = TREE_DIR },
	{ .path = "/sys/kernel/iommu_groups/7/devices/0000:00:05.0",
	  .kind = TREE_LINK,
	  .target = "../../../../devices/pci0000:00/0000:00:05.0" },
};

static struct tree_entry plugged[] = {
	{ .path = "/dev/machine/new", .kind = TREE_NODE, .mode = 0600, .major = 511, .minor = 2,
	  .open = dev_open },
	{ .path = "/sys/devices/pci0000:00/0000:00:06.0/vendor", .kind = TREE_ATTR, .mode = 0444,
	  .show = vendor_show, .constant = true },
	{ .path = "/sys/bus/pci/devices/0000:00:06.0", .kind = TREE_LINK,
	  .target = "../../../devices/pci0000:00/0000:00:06.0" },
	{ .path = "/sys/class/machine/new", .kind = TREE_LINK,
	  .target = "../../devices/pci0000:00/0000:00:06.0" },
};

static int machine_start(void *data, struct iommufd_system **ret_system)
{
	struct iommufd_system_opts opts = { .size = sizeof(opts), .selftest = true };
	int rc = iommufd_system_create(&opts, &machine);

	if (!rc)
		rc = iommufd_mock_init(machine);
	for (size_t i = 0; !rc && i < ARRAY_SIZE(names); i++)
		rc = tree_add(&machine->tree, &names[i]);
	*ret_system = machine;
	return rc;
}

static void machine_stop(void *data)
{
	*left_open = opened;
	for (size_t i = 0; i < ARRAY_SIZE(plugged); i++)
		tree_remove(&machine->tree, &plugged[i]);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		tree_remove(&machine->tree, &names[i]);
	iommufd_system_destroy(machine);
}

static void machine_log(void *data, enum iommufd_log_level level, const char *line)
{
	fprintf(stderr, "%s\n", line);
}

/* ================= the program's half ================= */

static bool namespaces;
static int memory, calls;

static bool reads(const char *path, const char *expected)
{
	char text[256] = "";
	int fd = open(path, O_RDONLY);
	bool same;

	if (fd < 0)
		return false;
	same = read(fd, text, sizeof(text) - 1) >= 0 && !strcmp(text, expected);
	close(fd);
	return same;
}

static void files_of_sysfs_are_read(void)
{
	char text[512];
	struct stat st;
	ssize_t len;

	CHECK(reads(PCI_DEV "/vendor", "0x8086\n"));
	CHECK(reads("/sys/bus/pci/devices/0000:00:05.0/vendor", "0x8086\n"));
	CHECK(reads("/sys/bus/pci/devices/../devices/0000:00:05.0/./count", "0\n"));
	len = readlink("/sys/bus/pci/devices/0000:00:05.0", text, sizeof(text));
	CHECK(len == 40 && !memcmp(text, "../../../devices/pci0000:00/0000:00:05.0", 40));
	CHECK(realpath("/sys/kernel/iommu_groups/7/devices/0000:00:05.0", text));
	CHECK(!strcmp(text, PCI_DEV));
	CHECK(!access(PCI_DEV "/vendor", R_OK) && access(PCI_DEV "/missing", F_OK));
	CHECK(!stat(PCI_DEV "/empty", &st) && S_ISDIR(st.st_mode));
	CHECK(!stat(PCI_DEV, &st) && S_ISDIR(st.st_mode));
	CHECK(!lstat("/sys/bus/pci/devices/0000:00:05.0", &st) && S_ISLNK(st.st_mode));
	CHECK(!stat(PCI_DEV "/config", &st) && st.st_size == 256 && S_ISREG(st.st_mode));
	CHECK(open(PCI_DEV "/vendor", O_WRONLY | O_DIRECTORY) == -1);
	/* Not even root writes what can only be read, nor cuts it off. */
	CHECK(open(PCI_DEV "/vendor", O_WRONLY) == -1 && errno == EACCES);
	CHECK(open(PCI_DEV "/vendor", O_RDONLY | O_TRUNC) == -1 && errno == EACCES);
	CHECK(reads(PCI_DEV "/vendor", "0x8086\n"));
	CHECK(!access("/sys/devices/system/cpu", F_OK));
}

static bool lists(const char *dir, const char *name)
{
	DIR *d = opendir(dir);
	struct dirent *ent;
	bool found = false;

	CHECK(d);
	while ((ent = readdir(d)))
		found |= !strcmp(ent->d_name, name);
	closedir(d);
	return found;
}

static void directories_are_listed(void)
{
	DIR *d;

	if (!namespaces)
		return;
	CHECK(lists("/sys/bus/pci/devices", "0000:00:05.0"));
	CHECK(lists(PCI_DEV, "config") && lists(PCI_DEV, "empty"));
	CHECK(lists("/dev/machine", "memory"));
	CHECK(lists("/sys/devices", "system"));
	/* By a descriptor of a directory. */
	d = opendir(PCI_DEV);
	CHECK(d);
	int fd = openat(dirfd(d), "count", O_RDONLY);
	char c;
	CHECK(fd >= 0 && read(fd, &c, 1) == 1 && c == '0');
	close(fd);
	closedir(d);
}

static void a_binary_file_is_read_anew_each_time(void)
{
	int fd = open(PCI_DEV "/config", O_RDONLY);
	u8 bytes[300];

	CHECK(fd >= 0);
	CHECK(pread(fd, bytes, sizeof(bytes), 0) == 256 && bytes[255] == 255);
	CHECK(pread(fd, bytes, 4, 0x10) == 4 && bytes[0] == 0x10);
	CHECK(read(fd, bytes, 4) == 4 && bytes[0] == 0);
	CHECK(read(fd, bytes, 4) == 4 && bytes[0] == 4);
	close(fd);
}

static void a_write_is_a_store(void)
{
	int fd = open(PCI_DEV "/count", O_WRONLY), low;

	CHECK(fd >= 0);
	CHECK(write(fd, "7\n", 2) == 2);
	CHECK(ioctl(memory, CMD_STORED) == 7);
	CHECK(reads(PCI_DEV "/seen", "7\n"));
	CHECK(write(fd, "101\n", 4) == -1 && errno == ERANGE);
	close(fd);
	fd = open(PCI_DEV "/count", O_RDWR | O_TRUNC);
	CHECK(fd >= 0 && write(fd, "8\n", 2) == 2);
	char c;
	CHECK(pread(fd, &c, 1, 0) == 1 && c == '8');
	close(fd);
	CHECK(open(PCI_DEV "/seen", O_WRONLY) == -1 && errno == EACCES);
	/* As a shell redirects: the write goes to another number, and is noticed. */
	fd = open(PCI_DEV "/count", O_WRONLY);
	low = dup2(fd, 40);
	close(fd);
	CHECK(low == 40 && write(low, "9\n", 2) == 2);
	CHECK(ioctl(memory, CMD_STORED) == 9);
	close(low);
	CHECK(system("echo 10 > " PCI_DEV "/count") == 0);
	CHECK(ioctl(memory, CMD_STORED) == 10);
	CHECK(system("test \"$(cat " PCI_DEV "/seen)\" = 10") == 0);
}

static void a_node_is_a_character_device_by_any_name(void)
{
	char text[64] = "", link[32];
	struct stat st;
	int fd;

	CHECK(!fstat(memory, &st) && S_ISCHR(st.st_mode));
	CHECK(major(st.st_rdev) == 511 && minor(st.st_rdev) == 0);
	fd = open("/dev/char/511:0", O_RDWR);
	CHECK(fd >= 0 && !fstat(fd, &st) && minor(st.st_rdev) == 0 && major(st.st_rdev) == 511);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	CHECK(readlink(link, text, sizeof(text)) == 19 && !strcmp(text, "/dev/machine/memory"));
	close(fd);
	CHECK(!stat("/dev/machine/memory", &st) && S_ISCHR(st.st_mode));
}

static void the_kernel_knows_its_class_and_kvm_its_file(void)
{
	struct {
		u32 flags, group;
		u64 attr, addr;
	} arg = { 0, 1, 1, (uintptr_t)&memory };
	int null = open("/dev/null", O_RDWR), other = null;

	CHECK(!system("grep -q '^509 vfio-dev$' /proc/devices"));
	CHECK(!system("grep -q '^Block devices:' /proc/devices"));
	/* KVM_SET_DEVICE_ATTR, on what is no KVM device here: it never sees our file. */
	CHECK(ioctl(null, 0x4018aee1, &arg) == 0);
	arg.addr = (uintptr_t)&other;
	CHECK(ioctl(null, 0x4018aee1, &arg) == -1);
	arg.group = 2;
	arg.addr = (uintptr_t)&memory;
	CHECK(ioctl(null, 0x4018aee1, &arg) == -1);
	close(null);
}

static void names_come_and_go(void)
{
	int fd;

	for (int i = 0; i < 3; i++) {
		CHECK(open("/dev/machine/new", O_RDWR) == -1 && errno == ENOENT);
		CHECK(ioctl(memory, CMD_PLUG, 1) == 0);
		fd = open("/dev/machine/new", O_RDWR);
		CHECK(fd >= 0);
		CHECK(reads("/sys/bus/pci/devices/0000:00:06.0/vendor", "0x8086\n"));
		CHECK(reads("/sys/class/machine/new/vendor", "0x8086\n"));
		CHECK(ioctl(memory, CMD_PLUG, 0) == 0);
		CHECK(ioctl(fd, CMD_STORED) == 10);
		close(fd);
		CHECK(access("/sys/devices/pci0000:00/0000:00:06.0", F_OK) == -1);
		CHECK(access("/sys/class/machine", F_OK) == -1);
	}
	CHECK(!access("/sys/bus/pci/devices/0000:00:05.0", F_OK));
}

static void regions_are_read_and_written_at_any_descriptor(void)
{
	char text[16] = "";
	struct iovec iov[2] = { { text, 4 }, { text + 4, 5 } };
	int low;

	CHECK(pread(memory, text, 9, BAR(0)) == 9 && !strcmp(text, "registers"));
	CHECK(pwrite(memory, "R", 1, BAR(0)) == 1);
	memset(text, 0, sizeof(text));
	CHECK(preadv(memory, iov, 2, BAR(0)) == 9 && !strcmp(text, "Registers"));
	low = dup2(memory, 41);
	CHECK(pread(low, text, 4, BAR(0) + 5) == 4 && !memcmp(text, "ters", 4));
	CHECK(pread(low, text, sizeof(text), BAR(0) + BAR_SIZE - 2) == 2);
	CHECK(pread(low, text, 4, BAR(1)) == -1 && errno == EINVAL);
	close(low);
	/* Anybody else's file may use such offsets, too. */
	CHECK(pread(STDIN_FILENO, text, 4, BAR(0)) <= 0);
}

static void memory_at_an_offset_of_a_region_is_mapped(void)
{
	volatile u8 *va, *again;
	void *there = mmap(NULL, 4 * BAR_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(ioctl(memory, CMD(0x94)) == 0);
	va = mmap(there, BAR_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, memory, BAR(0));
	CHECK(va == there && !memcmp((void *)va, "registers", 9));
	again = mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, memory, BAR(0) + 4096);
	CHECK(again != MAP_FAILED);
	again[3] = 77;
	CHECK(va[4096 + 3] == 77);
	CHECK(ioctl(memory, CMD_MAPS) == 2);
	CHECK(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, memory, BAR(0)) == MAP_FAILED &&
	      errno == EINVAL);
	CHECK(mmap(NULL, 4096, PROT_READ, MAP_SHARED, memory, BAR(0) + BAR_SIZE) == MAP_FAILED);
	munmap((void *)again, 4096);
	/* It ends with the other, which shows the same memory. */
	CHECK(ioctl(memory, CMD_MAPS) == 2);
	munmap(there, 4 * BAR_SIZE);
	CHECK(ioctl(memory, CMD_MAPS) == 0);
}

/* ---- registers that are calls ---- */

static volatile u8 *regs;

static void every_size_is_one_access(void)
{
	u64 eight = 0x1122334455667788;
	u8 line[64] __attribute__((aligned(64))), got[64];

	CHECK(regs[0] == 'r' && ioctl(calls, CMD_LAST) == 1);
	*(volatile u16 *)(regs + 16) = 0x1234;
	CHECK(ioctl(calls, CMD_LAST) == 0x102);
	*(volatile u32 *)(regs + 20) = 0xdeadbeef;
	CHECK(ioctl(calls, CMD_LAST) == 0x104);
	CHECK(*(volatile u32 *)(regs + 20) == 0xdeadbeef && ioctl(calls, CMD_LAST) == 4);
	*(volatile u64 *)(regs + 24) = eight;
	CHECK(ioctl(calls, CMD_LAST) == 0x108);
	CHECK(*(volatile u64 *)(regs + 24) == eight);
	CHECK(*(volatile u16 *)(regs + 16) == 0x1234);
	/* What calls see and what traps see is one. */
	CHECK(pread(calls, got, 8, BAR(0) + 24) == 8 && !memcmp(got, &eight, 8));
	for (int i = 0; i < 64; i++)
		line[i] = (u8)(i + 1);
	memcpy((void *)(regs + 4096 + 64), line, 64);
	memcpy(got, (void *)(regs + 4096 + 64), 64);
	CHECK(!memcmp(got, line, 64));
	__atomic_fetch_add((u32 *)(regs + 20), 1, __ATOMIC_SEQ_CST);
	CHECK(*(volatile u32 *)(regs + 20) == 0xdeadbef0);
#if defined(__x86_64__)
	/* movdir64b (%rsi),%rdi: where the processor lacks it, it is emulated on any memory. */
	__asm__ volatile(".byte 0x66,0x0f,0x38,0xf8,0x3e"
			 :
			 : "S"(line), "D"(regs + 4096 + 128)
			 : "memory");
	CHECK(ioctl(calls, CMD_LAST) == 0x140);
	memcpy(got, (void *)(regs + 4096 + 128), 64);
	CHECK(!memcmp(got, line, 64));
	static u8 to[64] __attribute__((aligned(64)));
	__asm__ volatile(".byte 0x66,0x0f,0x38,0xf8,0x3e" : : "S"(line), "D"(to) : "memory");
	CHECK(!memcmp(to, line, 64));
	/* movdiri %eax,(%rdi) */
	__asm__ volatile(".byte 0x0f,0x38,0xf9,0x07" : : "a"(5), "D"(regs + 64) : "memory");
	CHECK(regs[64] == 5);
#endif
}

static sigjmp_buf back;
static volatile sig_atomic_t bus_errors, alarms;
static void *volatile bus_at;

static void on_bus_error(int sig, siginfo_t *info, void *context)
{
	bus_errors++;
	bus_at = info->si_addr;
	siglongjmp(back, 1);
}

static void on_alarm(int sig)
{
	alarms++;
}

static void what_cannot_be_done_is_the_programs_signal(void)
{
	struct sigaction action = { .sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO };
	volatile u64 *unknown = (volatile u64 *)(regs + 512);
	char path[] = "/tmp/machine-XXXXXX";
	int fd = mkstemp(path);
	u8 *own;

	sigaction(SIGBUS, &action, NULL);
	/* The device refuses. */
	if (!sigsetjmp(back, 1))
		(void)*(volatile u64 *)(regs + BAR_SIZE - 8);
	CHECK(bus_errors == 1 && bus_at == regs + BAR_SIZE - 8);
#if defined(__x86_64__)
	/* An instruction nobody uses on registers. */
	if (!sigsetjmp(back, 1))
		__asm__ volatile("rolq $3,%0" : "+m"(*unknown));
	CHECK(bus_errors == 2);
#else
	bus_errors++;
#endif
	/* A file of its own, cut off. */
	CHECK(fd >= 0 && !unlink(path));
	own = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	if (!sigsetjmp(back, 1))
		(void)*(volatile u8 *)own;
	CHECK(bus_errors == 3 && bus_at == own);
	munmap(own, 4096);
	close(fd);
	signal(SIGBUS, SIG_DFL);
}

/* Few: where many others want the processor each access may wait for its turn. */
#define COUNT 60

static void *count_up(void *arg)
{
	for (int i = 0; i < COUNT; i++)
		__atomic_fetch_add((u32 *)(regs + 256 + 8 * (long)arg), 1, __ATOMIC_SEQ_CST);
	return NULL;
}

static void threads_and_children_are_seen(void)
{
	pthread_t threads[4];
	int status;
	pid_t pid;

	for (long i = 0; i < 4; i++)
		CHECK(pthread_create(&threads[i], NULL, count_up, (void *)i) == 0);
	for (long i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	for (long i = 0; i < 4; i++)
		CHECK(*(volatile u32 *)(regs + 256 + 8 * i) == COUNT);
	pid = fork();
	if (!pid) {
		regs[300] = 9;
		/* And one of its own, which has no mappings after it. */
		_exit(regs[300] == 9 && !system("true") ? 4 : 1);
	}
	CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 4);
	CHECK(regs[300] == 9);
	pid = fork();
	if (!pid)
		raise(SIGKILL);
	CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
}

/*
 * Who waits for a pidfd, and then does not wait for the child, as a test harness of the kernel's
 * does.
 */
static void a_child_that_has_ended_is_its_parents_at_once(void)
{
	for (int i = 0; i < 50; i++) {
		struct pollfd pfd = { .events = POLLIN };
		pid_t pid = fork();
		int status;

		if (!pid)
			_exit(regs[0] == 'r' ? 7 : 1);
		pfd.fd = (int)syscall(SYS_pidfd_open, pid, 0);
		CHECK(pfd.fd >= 0 && poll(&pfd, 1, 20000) == 1);
		CHECK(waitpid(pid, &status, WNOHANG) == pid && WIFEXITED(status) &&
		      WEXITSTATUS(status) == 7);
		close(pfd.fd);
	}
}

static void registers_for_dma(int fd, void *va)
{
	struct iommu_ioas_alloc ioas = { .size = sizeof(ioas) };
	struct iommu_test_cmd dev = { .size = sizeof(dev), .op = IOMMU_TEST_OP_MOCK_DOMAIN };
	struct iommu_ioas_map map = { .size = sizeof(map),
				      .flags = IOMMU_IOAS_MAP_READABLE,
				      .user_va = (uintptr_t)va,
				      .length = 4096 };

	CHECK(ioctl(fd, IOMMU_IOAS_ALLOC, &ioas) == 0);
	map.ioas_id = dev.id = ioas.out_ioas_id;
	CHECK(ioctl(fd, IOMMU_TEST_CMD, &dev) == 0);
	errno = 0;
	CHECK(ioctl(fd, IOMMU_IOAS_MAP, &map) == -1 && errno == EFAULT);
}

/* Their descriptor must not be taken for closed after somebody has looked at what is mapped. */
static void they_are_no_memory_for_dma(void)
{
	int fd = open("/dev/iommu", O_RDWR);

	CHECK(fd >= 0);
	registers_for_dma(fd, (void *)regs);
	CHECK(ioctl(calls, CMD_MAPS) == 1 && regs[0] == 'r');
	close(fd);
}

static void signals_arrive_as_ever(void)
{
	struct itimerval every = { { 0, 2000 }, { 0, 2000 } }, never = { 0 };
	u32 count = 0;
	int status;
	pid_t pid;

	signal(SIGALRM, on_alarm);
	setitimer(ITIMER_REAL, &every, NULL);
	for (; alarms < 3; count++) {
		(*(volatile u32 *)(regs + 400))++;
		/* A sanitizer keeps signals back until something of libc is called. */
		if (!(count % 64))
			usleep(0);
	}
	setitimer(ITIMER_REAL, &never, NULL);
	CHECK(*(volatile u32 *)(regs + 400) == count);
	pid = fork();
	if (!pid) {
		for (;;)
			(void)regs[0];
	}
	CHECK(!kill(pid, SIGSTOP) && waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status));
	CHECK(!kill(pid, SIGCONT) && waitpid(pid, &status, WCONTINUED) == pid &&
	      WIFCONTINUED(status));
	CHECK(!kill(pid, SIGTERM) && waitpid(pid, &status, 0) == pid &&
	      WTERMSIG(status) == SIGTERM);
}

static void who_is_traced_already_is_refused(void)
{
	int status;
	pid_t pid = fork();

	/* Of a process that is not traced yet. */
	if (!pid) {
		execl("/proc/self/exe", "machine", "traced", NULL);
		_exit(1);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

static int traced(void)
{
	pid_t pid = fork();
	int status, fd;

	if (!pid) {
		CHECK(!ptrace(PTRACE_TRACEME, 0, NULL, NULL));
		fd = open("/dev/machine/calls", O_RDWR);
		CHECK(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, BAR(0)) == MAP_FAILED &&
		      errno == EPERM);
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	return 0;
}

static void *read_one(void *va)
{
	return (void *)(long)(*(volatile u8 *)va == 'r');
}

/* Refused, its own signal, or done; and a new thread of it likewise. */
static void map_short_of_memory(long n)
{
	pthread_t thread;
	void *same = NULL;
	u8 *va;

	/* Not a sanitizer's report. */
	signal(SIGBUS, SIG_DFL);
	ioctl(calls, CMD_FAIL, n);
	va = mmap(NULL, 4096, PROT_READ, MAP_SHARED, calls, BAR(0));
	if (va == MAP_FAILED)
		_exit(errno == ENOMEM ? 0 : 1);
	CHECK(pthread_create(&thread, NULL, read_one, va) == 0);
	pthread_join(thread, &same);
	_exit(same && *va == 'r' ? 0 : 1);
}

static void without_memory_nobody_hangs(void)
{
	int status, left = 0;
	pid_t pid;

	for (long n = 1; n < 40 && !left; n++) {
		pid = fork();
		if (!pid)
			map_short_of_memory(n);
		CHECK(waitpid(pid, &status, 0) == pid);
		CHECK(WIFSIGNALED(status) ? WTERMSIG(status) == SIGBUS : !WEXITSTATUS(status));
		left = ioctl(calls, CMD_FAIL, 0);
	}
	CHECK(left == 1);
	CHECK(ioctl(calls, CMD_MAPS) == 0);
}

static void registers_can_be_calls(void)
{
	calls = open("/dev/machine/calls", O_RDWR);
	CHECK(calls >= 0);
#if defined(__x86_64__)
	without_memory_nobody_hangs();
#endif
	who_is_traced_already_is_refused();
	regs = mmap(NULL, BAR_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, calls, BAR(0));
#if !defined(__x86_64__)
	CHECK(regs == MAP_FAILED && errno == EOPNOTSUPP);
	return;
#endif
	CHECK(regs != MAP_FAILED);
	every_size_is_one_access();
	what_cannot_be_done_is_the_programs_signal();
	threads_and_children_are_seen();
	a_child_that_has_ended_is_its_parents_at_once();
	they_are_no_memory_for_dma();
	signals_arrive_as_ever();
	CHECK(ioctl(calls, CMD_MAPS) == 1);
	munmap((void *)regs, BAR_SIZE);
	CHECK(ioctl(calls, CMD_MAPS) == 0);
	close(calls);
}

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
	double start;
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
	namespaces = !access("/dev/machine", F_OK) && !access("/proc/self/ns/mnt", F_OK) &&
		     opendir("/dev/machine");
	memory = open("/dev/machine/memory", O_RDWR);
	CHECK(memory >= 0);
	files_of_sysfs_are_read();
	directories_are_listed();
	a_binary_file_is_read_anew_each_time();
	a_write_is_a_store();
	a_node_is_a_character_device_by_any_name();
	the_kernel_knows_its_class_and_kvm_its_file();
	names_come_and_go();
	regions_are_read_and_written_at_any_descriptor();
	memory_at_an_offset_of_a_region_is_mapped();
	registers_can_be_calls();
	what_dies_slowly_has_its_files_closed();
	return 0;
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
