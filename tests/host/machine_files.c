/* SPDX-License-Identifier: MIT */
/* Files of sysfs that are read, written to, come and go; nodes; regions of a device. */
#include "machine.h"

#include <dirent.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/wait.h>

int memory;

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

/* The kernel asks who resolves ".." in a root of its own to try again when anything is renamed. */
static void names_are_found_while_others_are_renamed(void)
{
	char dir[] = "renamed.XXXXXX", here[64], there[64];
	pid_t renamer;

	CHECK(mkdtemp(dir));
	snprintf(here, sizeof(here), "%s/here", dir);
	snprintf(there, sizeof(there), "%s/there", dir);
	CHECK(!mkdir(here, 0700));
	renamer = fork();
	CHECK(renamer >= 0);
	if (!renamer) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		while (!rename(here, there) && !rename(there, here))
			;
		_exit(1);
	}
	for (int i = 0; i < 2000; i++)
		CHECK(reads("/sys/bus/pci/devices/../devices/0000:00:05.0/./count", "0\n"));
	CHECK(!kill(renamer, SIGKILL) && waitpid(renamer, NULL, 0) == renamer);
	CHECK(!rmdir(here) || !rmdir(there));
	CHECK(!rmdir(dir));
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

/* As a shell redirects: the kernel writes, and the store is somewhere behind it. */
static void redirect(const char *text)
{
	int fd = open(PCI_DEV "/work", O_WRONLY), low = dup2(fd, 40);

	close(fd);
	CHECK(low == 40 && write(low, text, strlen(text)) == (ssize_t)strlen(text));
	close(low);
}

static void a_call_waits_for_a_store_that_runs_and_for_none_that_waits(void)
{
	redirect("700\n");
	CHECK(ioctl(memory, CMD_STORED) == 7);
	redirect("0\n");
	CHECK(ioctl(memory, CMD_STORED) == 7);
	CHECK(ioctl(memory, CMD_LET, 1) == 0);
	CHECK(ioctl(memory, CMD_STORED) == 0);
	/* Nor is it in the way of the call it waits for where threads are short for a while. */
	redirect("100\n");
	CHECK(ioctl(memory, CMD_STORED) == 1);
	CHECK(ioctl(memory, CMD_NO_THREAD, 20) == 0);
	redirect("0\n");
	CHECK(ioctl(memory, CMD_LET, 1) == 0);
	CHECK(ioctl(memory, CMD_STORED) == 0);
	CHECK(ioctl(memory, CMD_NO_THREAD, 0) == 0);
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
		CHECK(ioctl(fd, CMD_STORED) == 0);
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

	CHECK(ioctl(memory, CMD_MEMORY) == 0);
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

void files_are_as_linux_has_them(bool namespaces)
{
	memory = open("/dev/machine/memory", O_RDWR);
	CHECK(memory >= 0);
	files_of_sysfs_are_read();
	names_are_found_while_others_are_renamed();
	if (namespaces)
		directories_are_listed();
	a_binary_file_is_read_anew_each_time();
	a_write_is_a_store();
	a_call_waits_for_a_store_that_runs_and_for_none_that_waits();
	a_node_is_a_character_device_by_any_name();
	the_kernel_knows_its_class_and_kvm_its_file();
	names_come_and_go();
	regions_are_read_and_written_at_any_descriptor();
	memory_at_an_offset_of_a_region_is_mapped();
}
