/* SPDX-License-Identifier: MIT */
/*
 * What /sys shows of functions, and what writing there does.
 */
#include "rig.h"

#include <fcntl.h>
#include <pthread.h>

#define ROOT "/sys/devices/pci0000:00/"
#define DEV  ROOT "0000:00:01.0/"

static void shows(struct rig *rig, const char *path, const char *text)
{
	char buf[4097];

	assert_int_equal(rig_read(rig, path, buf, sizeof(buf)), (int)strlen(text));
	assert_string_equal(buf, text);
}

/* ---- names, by a watcher as a way in has one ---- */

struct names {
	struct tree_watcher watcher;
	struct {
		char path[200];
		char target[200];
	} links[400];
	size_t count;
};

static void names_added(struct tree_watcher *watcher, const struct tree_entry *entry)
{
	struct names *names = container_of(watcher, struct names, watcher);

	if (entry->kind != TREE_LINK || names->count == ARRAY_SIZE(names->links))
		return;
	snprintf(names->links[names->count].path, 200, "%s", entry->path);
	snprintf(names->links[names->count++].target, 200, "%s", entry->target);
}

static void names_removed(struct tree_watcher *watcher, const struct tree_entry *entry)
{
	struct names *names = container_of(watcher, struct names, watcher);

	for (size_t i = 0; i < names->count; i++)
		if (!strcmp(names->links[i].path, entry->path))
			names->links[i] = names->links[--names->count];
}

static const char *link_at(const struct names *names, const char *path)
{
	for (size_t i = 0; i < names->count; i++)
		if (!strcmp(names->links[i].path, path))
			return names->links[i].target;
	return "";
}

static void links_lead_where_they_should(void **state)
{
	static struct names names;
	struct pci_bridge_desc port = {.addr = rig_addr("00:1c.0"), .secondary = 6};
	struct rig *rig = *state;
	char path[200];
	struct edu *edu;

	names = (struct names){.watcher = {names_added, names_removed}};
	tree_watch(&rig->system->tree, &names.watcher);
	assert_int_equal(pci_bridge_add(rig->topology, &port), 0);
	edu = rig_add(rig, "06:0d.0", NULL, PCI_ACCESS_NO_MMAP);
	pci_sysfs_path(&edu->pdev, path, sizeof(path));
	assert_string_equal(path, ROOT "0000:00:1c.0/0000:06:0d.0");
	assert_string_equal(link_at(&names, "/sys/bus/pci/devices/0000:06:0d.0"),
			    "../../../devices/pci0000:00/0000:00:1c.0/0000:06:0d.0");
	assert_string_equal(link_at(&names, "/sys/bus/pci/devices/0000:00:1c.0"),
			    "../../../devices/pci0000:00/0000:00:1c.0");
	assert_string_equal(link_at(&names, ROOT "0000:00:1c.0/0000:06:0d.0/iommu_group"),
			    "../../../../kernel/iommu_groups/0");
	assert_string_equal(link_at(&names, ROOT "0000:00:1c.0/0000:06:0d.0/driver"),
			    "../../../../bus/pci/drivers/vfio-pci");
	assert_string_equal(link_at(&names, ROOT "0000:00:1c.0/0000:06:0d.0/subsystem"),
			    "../../../../bus/pci");
	assert_string_equal(link_at(&names, ROOT "0000:00:1c.0/0000:06:0d.0/iommu"),
			    "../../../virtual/iommu/generic");
	assert_string_equal(link_at(&names, "/sys/kernel/iommu_groups/0/devices/0000:06:0d.0"),
			    "../../../../devices/pci0000:00/0000:00:1c.0/0000:06:0d.0");
	assert_string_equal(link_at(&names, "/sys/bus/pci/drivers/vfio-pci/0000:06:0d.0"),
			    "../../../../devices/pci0000:00/0000:00:1c.0/0000:06:0d.0");
	assert_string_equal(link_at(&names, "/sys/class/iommu/generic"),
			    "../../devices/virtual/iommu/generic");
	assert_int_equal(pci_sriov_set(&edu->pdev, 2), 0);
	assert_string_equal(link_at(&names, ROOT "0000:00:1c.0/0000:06:0d.0/virtfn1"),
			    "../0000:06:10.1");
	assert_string_equal(link_at(&names, ROOT "0000:00:1c.0/0000:06:10.1/physfn"),
			    "../0000:06:0d.0");
	pci_dev_remove(&edu->pdev);
	assert_string_equal(link_at(&names, "/sys/bus/pci/devices/0000:06:0d.0"), "");
	assert_string_equal(link_at(&names, "/sys/bus/pci/devices/0000:06:10.1"), "");
	tree_watch(&rig->system->tree, NULL);
}

static void attributes_say_who_it_is(void **state)
{
	struct rig *rig = *state;
	struct edu *edu = rig_add(rig, "00:01.0", NULL, PCI_ACCESS_NO_MMAP);
	char buf[4097], *line = buf;
	unsigned long long start, end, flags;
	struct told told;
	int lines = 0;

	shows(rig, DEV "vendor", "0x1234\n");
	shows(rig, DEV "device", "0x11e8\n");
	shows(rig, DEV "subsystem_vendor", "0x1af4\n");
	shows(rig, DEV "subsystem_device", "0x1100\n");
	shows(rig, DEV "class", "0x00ff00\n");
	shows(rig, DEV "revision", "0x10\n");
	shows(rig, DEV "numa_node", "-1\n");
	shows(rig, DEV "irq", "0\n");
	shows(rig, DEV "driver_override", "(null)\n");
	shows(rig, DEV "enable", "0\n");
	shows(rig, DEV "sriov_totalvfs", "8\n");
	shows(rig, DEV "sriov_numvfs", "0\n");
	shows(rig, DEV "modalias", "pci:v00001234d000011E8sv00001AF4sd00001100bc00scFFi00\n");
	shows(rig, DEV "uevent",
	      "DRIVER=vfio-pci\nPCI_CLASS=FF00\nPCI_ID=1234:11E8\nPCI_SUBSYS_ID=1AF4:1100\n"
	      "PCI_SLOT_NAME=0000:00:01.0\n"
	      "MODALIAS=pci:v00001234d000011E8sv00001AF4sd00001100bc00scFFi00\n");
	assert_int_equal(rig_read(rig, DEV "resource", buf, sizeof(buf)), 13 * 57);
	while (sscanf(line, "0x%16llx 0x%16llx 0x%16llx", &start, &end, &flags) == 3) {
		if (lines == 0 || lines == 4)
			assert_int_equal(end - start + 1, edu->desc.bars[lines].size);
		else if (lines == 7 || lines == 11)
			assert_int_equal(end - start + 1, 8 * edu->desc.vf->bars[lines - 7].size);
		if (lines == 0)
			assert_int_equal(flags, 0x140204);
		if (lines == 2)
			assert_int_equal(flags, 0x40200);
		if (lines == 4)
			assert_int_equal(flags, 0x14220c);
		assert_int_equal(line[56], '\n');
		line += 57;
		lines++;
	}
	assert_int_equal(lines, 13);
	rig_open(edu, &told, NULL);
	shows(rig, DEV "enable", "1\n");
	rig_close(&told);
	assert_int_equal(rig_read(rig, DEV "resource0", buf, sizeof(buf)), -EIO);
	assert_int_equal(rig_read(rig, DEV "resource1", buf, sizeof(buf)), -ENOENT);
	shows(rig, "/sys/kernel/iommu_groups/0/type", "DMA-FQ\n");
	shows(rig, "/sys/kernel/iommu_groups/0/reserved_regions",
	      "0x00000000fee00000 0x00000000feefffff msi\n");
	shows(rig, "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode", "N\n");
}

static void configuration_space_is_a_file(void **state)
{
	struct rig *rig = *state;
	struct edu *edu = rig_add(rig, "00:01.0", NULL, PCI_ACCESS_NO_MMAP);
	int fd = iommufd_open(rig->proc, DEV "config", O_RDWR);
	u8 buf[4096];

	assert_true(fd >= 0);
	assert_int_equal(iommufd_pread(rig->proc, fd, buf, 4096, 0), 4096);
	for (u32 i = 0; i < 4096; i++)
		assert_int_equal(buf[i], cfg_read(edu, i, 1));
	assert_int_equal(iommufd_pread(rig->proc, fd, buf, 100, 4090), 6);
	assert_int_equal(iommufd_pread(rig->proc, fd, buf, 100, 4096), 0);
	assert_int_equal(iommufd_pread(rig->proc, fd, buf, 7, 1), 7);
	assert_int_equal(buf[0], EDU_VENDOR >> 8);
	assert_int_equal(iommufd_pwrite(rig->proc, fd, "\x55", 1, PCI_INTERRUPT_LINE), 1);
	assert_int_equal(cfg_read(edu, PCI_INTERRUPT_LINE, 1), 0x55);
	assert_int_equal(iommufd_pwrite(rig->proc, fd, "\x55", 1, UINT64_MAX), 0);
	iommufd_close(rig->proc, fd);
	/* A VF leaves it to its PF to say who it is. */
	assert_int_equal(pci_sriov_set(&edu->pdev, 1), 0);
	fd = iommufd_open(rig->proc, ROOT "0000:00:10.0/config", O_RDONLY);
	assert_int_equal(iommufd_pread(rig->proc, fd, buf, 8, 0), 8);
	assert_memory_equal(buf, "\xff\xff\xff\xff\x02\x00\x10\x00", 8);
	iommufd_close(rig->proc, fd);
	shows(rig, ROOT "0000:00:10.0/vendor", "0x1234\n");
	shows(rig, ROOT "0000:00:10.0/device", "0x11e9\n");
}

static void writing_drives_the_function(void **state)
{
	struct rig *rig = *state;
	struct edu *edu = rig_add(rig, "00:01.0", NULL, PCI_ACCESS_NO_MMAP);
	struct told told;

	rig_open(edu, &told, NULL);
	assert_int_equal(rig_write(rig, DEV "reset", "1\n"), 2);
	assert_int_equal(atomic_load(&edu->resets), 2);
	assert_int_equal(rig_write(rig, DEV "reset", "0\n"), -EINVAL);
	rig_close(&told);
	assert_int_equal(rig_write(rig, DEV "sriov_numvfs", "9"), -ERANGE);
	assert_int_equal(rig_write(rig, DEV "sriov_numvfs", "x"), -EINVAL);
	assert_int_equal(rig_write(rig, DEV "sriov_numvfs", "2\n"), 2);
	shows(rig, DEV "sriov_numvfs", "2\n");
	assert_int_equal(rig_write(rig, DEV "sriov_numvfs", "3"), -EBUSY);
	assert_int_equal(rig_write(rig, DEV "sriov_numvfs", "0"), 1);
	assert_int_equal(rig_write(rig, DEV "rescan", "1"), 1);
	assert_int_equal(rig_write(rig, DEV "enable", "1"), -EBUSY);
	assert_int_equal(rig_write(rig, DEV "remove", "1"), 1);
	assert_int_equal(atomic_load(&rig->destroyed), 3);
	assert_null(pci_find(rig->topology, rig_addr("00:01.0")));
	assert_int_equal(rig_write(rig, DEV "remove", "1"), -ENOENT);
}

struct counter {
	struct pci_listener base;
	int bound;
};

static int counter_added(struct pci_listener *base, struct pci_dev *pdev)
{
	container_of(base, struct counter, base)->bound++;
	return 0;
}

static void counter_removing(struct pci_listener *base, struct pci_dev *pdev)
{
	container_of(base, struct counter, base)->bound--;
}

#define DRIVER "/sys/bus/pci/drivers/vfio-pci/"

static void drivers_are_bound_and_unbound(void **state)
{
	struct counter counter = {.base = {counter_added, counter_removing}};
	struct rig *rig = *state;

	pci_listen(rig->topology, &counter.base);
	rig_add(rig, "00:01.0", NULL, PCI_ACCESS_NO_MMAP);
	assert_int_equal(counter.bound, 1);
	assert_int_equal(rig_write(rig, DRIVER "bind", "0000:00:01.0\n"), -EBUSY);
	assert_int_equal(rig_write(rig, DRIVER "unbind", "0000:00:01.0\n"), 13);
	assert_int_equal(counter.bound, 0);
	assert_int_equal(rig_write(rig, DRIVER "unbind", "0000:00:01.0\n"), -ENODEV);
	assert_int_equal(rig_write(rig, DRIVER "unbind", "0000:00:09.0\n"), -ENODEV);
	assert_int_equal(rig_write(rig, DRIVER "unbind", "nonsense"), -ENODEV);
	assert_int_equal(rig_write(rig, DEV "driver_override", "nvme\n"), 5);
	shows(rig, DEV "driver_override", "nvme\n");
	assert_int_equal(rig_write(rig, DRIVER "bind", "0000:00:01.0"), -ENODEV);
	assert_int_equal(rig_write(rig, DEV "driver_override", "vfio-pci"), 8);
	assert_int_equal(rig_write(rig, "/sys/bus/pci/drivers_probe", "0000:00:01.0"), 12);
	assert_int_equal(counter.bound, 1);
	assert_int_equal(rig_write(rig, DEV "driver_override", "\n"), 1);
	shows(rig, DEV "driver_override", "(null)\n");
	assert_int_equal(rig_write(rig, DRIVER "unbind", "0000:00:01.0"), 12);
	assert_int_equal(rig_write(rig, DRIVER "new_id", "1234 11e8"), 9);
	assert_int_equal(counter.bound, 1);
	assert_int_equal(rig_write(rig, DRIVER "new_id", "1234 11e8"), -EEXIST);
	assert_int_equal(rig_write(rig, DRIVER "new_id", "1234"), -EINVAL);
	assert_int_equal(rig_write(rig, DRIVER "remove_id", "1234 11e8"), 9);
	assert_int_equal(rig_write(rig, DRIVER "remove_id", "1234 11e8"), -ENODEV);
	pci_dev_remove(pci_find(rig->topology, rig_addr("00:01.0")));
	assert_int_equal(counter.bound, 0);
	pci_listen(rig->topology, NULL);
}

struct both {
	struct rig *rig;
	_Atomic int ok;
};

static void *remove_by_file(void *data)
{
	struct both *both = data;

	if (rig_write(both->rig, DEV "remove", "1") == 1)
		atomic_fetch_add(&both->ok, 1);
	return NULL;
}

static void *write_numvfs(void *data)
{
	struct both *both = data;

	rig_write(both->rig, DEV "sriov_numvfs", "4");
	rig_write(both->rig, DEV "sriov_numvfs", "0");
	rig_write(both->rig, DRIVER "unbind", "0000:00:01.0");
	rig_write(both->rig, DRIVER "bind", "0000:00:01.0");
	return NULL;
}

static void of_two_removals_one_works(void **state)
{
	struct rig *rig = *state;

	for (int i = 0; i < 30; i++) {
		struct both both = {.rig = rig};
		pthread_t threads[3];

		rig_add(rig, "00:01.0", NULL, PCI_ACCESS_NO_MMAP);
		pthread_create(&threads[0], NULL, remove_by_file, &both);
		pthread_create(&threads[1], NULL, write_numvfs, &both);
		pthread_create(&threads[2], NULL, remove_by_file, &both);
		for (int j = 0; j < 3; j++)
			pthread_join(threads[j], NULL);
		assert_int_equal(atomic_load(&both.ok), 1);
		assert_null(pci_find(rig->topology, rig_addr("00:01.0")));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(links_lead_where_they_should),  CASE(attributes_say_who_it_is),
		CASE(configuration_space_is_a_file), CASE(writing_drives_the_function),
		CASE(drivers_are_bound_and_unbound), CASE(of_two_removals_one_works),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
