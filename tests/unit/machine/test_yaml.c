/* SPDX-License-Identifier: MIT */
/* Machine files: every mistake is named with its place, and what is right is read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"
#include "fake_models.h"

static struct machine_desc desc;
static struct machine_error error;

static int read_text(const char *text)
{
	int rc;

	machine_desc_fini(&desc);
	machine_desc_init(&desc, fake_models);
	memset(&error, 0, sizeof(error));
	rc = machine_desc_yaml(&desc, "m.yaml", text, strlen(text), &error);
	return rc ?: machine_desc_finish(&desc, &error);
}

/** struct mistake - @text: a file; @says: what the error begins with */
static const struct mistake {
	const char *text;
	const char *says;
} mistakes[] = {
	{"", "m.yaml: file: there is nothing in it"},
	{"# nothing\n", "m.yaml: file: there is nothing in it"},
	{"just words\n", "m.yaml:1:1: file: sections (devices: ...) are wanted here"},
	{"- a\n- b\n", "m.yaml:1:1: file: sections"},
	{"devices: [\n", "m.yaml:2:1: yaml: did not find expected node content"},
	{"devices: []\n  foo: 1\n", "m.yaml:2:3: yaml: "},
	{"a: b: c\n", "m.yaml:1:5: yaml: mapping values are not allowed"},
	{"\tdevices: []\n", "m.yaml:1:1: yaml: found character that cannot start any token"},
	{"devices: []\n--- \ndevices: []\n", "m.yaml:3:1: ---: a second document"},
	{"disks: []\n", "m.yaml:1:1: disks: unknown section: memory, container, iommus, "},
	{"devices: []\nmemory: {}\ndevices: []\n", "m.yaml:3:1: devices: given twice"},
	{"[a]: b\n", "m.yaml:1:1: key: a single value is wanted here"},
	{"devices: nvme\n", "m.yaml:1:10: devices: a list (- ...) is wanted here"},
	{"devices:\n  model: nvme\n", "m.yaml:2:3: devices: a list (- ...) is wanted here"},
	{"devices:\n  - nvme\n", "m.yaml:2:5: devices: a mapping (key: value) is wanted here"},
	{"devices:\n  - id: d\n", "m.yaml:2:5: device: its model is missing"},
	{"devices:\n  - model: floppy\n",
	 "m.yaml:2:12: floppy: no such model of device: nvme, dsa"},
	{"devices:\n  - model: [nvme]\n", "m.yaml:2:12: model: a single value is wanted here"},
	{"devices:\n  - model: nvme\n    colour: red\n", "m.yaml:3:5: colour: unknown key of nvme"},
	{"devices:\n  - model: nvme\n    groups: 1\n", "m.yaml:3:5: groups: unknown key of nvme"},
	{"devices:\n  - model: nvme\n    size: 1M\n    size: 2M\n",
	 "m.yaml:4:5: size: given twice"},
	{"devices:\n  - model: nvme\n    image: \"a\\0b\"\n", "m.yaml:3:12: image: it has a NUL"},
	{"devices:\n  - model: nvme\n    image: \"a\\tb\"\n",
	 "m.yaml:3:12: image: its value has a control character"},
	{"devices:\n  - {model: nvme, addr: here}\n",
	 "m.yaml:2:25: here: not an address: DOMAIN:BUS:DEVICE.FUNCTION"},
	{"devices:\n  - {model: nvme, addr: 00:20.0}\n", "m.yaml:2:25: 00:20.0: not an address"},
	{"devices:\n  - {model: nvme, addr: 00:01.8}\n", "m.yaml:2:25: 00:01.8: not an address"},
	{"devices:\n  - {model: nvme, access: fast}\n",
	 "m.yaml:2:27: fast: not a value of access: poll, no-mmap, trap, split"},
	{"devices:\n  - {model: nvme, iommu: none}\n", "m.yaml:2:5: none: no IOMMU has this id"},
	{"devices:\n  - {model: nvme, id: a b}\n", "m.yaml:2:23: a b: not a name"},
	{"devices:\n  - {model: nvme, id: \"\"}\n", "m.yaml:2:23: : not a name"},
	{"devices:\n  - {model: nvme, id: d}\n  - {model: dsa, id: d}\n",
	 "m.yaml:3:22: d: there is one of this name already"},
	{"devices:\n  - {model: nvme, addr: 00:01.0}\n  - {model: dsa, addr: 0000:00:01.0}\n",
	 "m.yaml:2:5: 0000:00:01.0: the address is taken"},
	{"iommus:\n  - {model: magic}\n", "m.yaml:2:13: magic: no such model of IOMMU: generic"},
	{"iommus:\n  - {id: i}\n", "m.yaml:2:5: IOMMU: its model is missing"},
	{"iommus:\n  - {model: generic, speed: 1}\n", "m.yaml:2:22: speed: unknown key of IOMMU"},
	{"iommus:\n  - {model: generic}\n  - {model: generic}\n",
	 "m.yaml:3:5: generic: a machine has at most one of these"},
	{"memory: {frames: few}\n",
	 "m.yaml:1:18: few: not a value of frames: contiguous, huge-only, random"},
	{"memory: {size: 1G}\n", "m.yaml:1:10: size: unknown key of memory"},
	{"memory: [frames]\n", "m.yaml:1:9: memory: a mapping (key: value) is wanted here"},
	{"container: wooden\n", "m.yaml:1:12: wooden: not a value of container: native, compat"},
	{"container: {}\n", "m.yaml:1:12: container: a single value is wanted here"},
	{"bridges:\n  - {bus: 1}\n", "m.yaml:2:5: bridge: its addr is missing"},
	{"bridges:\n  - {addr: 00:1c.0}\n", "m.yaml:2:5: bridge: its bus is missing"},
	{"bridges:\n  - {addr: 00:1c.0, bus: 0}\n",
	 "m.yaml:2:26: 0: bus is a number from 1 to 255"},
	{"bridges:\n  - {addr: 00:1c.0, bus: 256}\n", "m.yaml:2:26: 256: bus is a number"},
	{"bridges:\n  - {addr: 00:1c.0, bus: -1}\n", "m.yaml:2:26: -1: bus is a number"},
	{"bridges:\n  - {addr: 00:1c.0, bus: one}\n", "m.yaml:2:26: one: bus is a number"},
	{"bridges:\n  - {addr: 00:1c.0, bus: 1, acs: maybe}\n",
	 "m.yaml:2:34: maybe: not a value of acs: false, true"},
	{"bridges:\n  - {addr: 05:00.0, bus: 6}\n",
	 "m.yaml:2:5: 0000:05:00.0: no bridge before this one leads to its bus"},
	{"bridges:\n  - {addr: 00:1c.0, bus: 1}\n  - {addr: 00:1d.0, bus: 1}\n",
	 "m.yaml:3:5: 0000:00:1d.0: bus 1 is behind another bridge"},
	{"bridges:\n  - {addr: 00:1c.0, bus: 1}\n  - {addr: 00:1c.0, bus: 2}\n",
	 "m.yaml:2:5: 0000:00:1c.0: the address is taken"},
	{"bridges:\n  - {addr: 00:1c.0, bus: 1}\ndevices:\n  - {model: dsa, addr: 00:1c.0}\n",
	 "m.yaml:2:5: 0000:00:1c.0: the address is taken"},
};

static void every_mistake_is_named_with_its_place(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(mistakes); i++) {
		assert_int_equal(read_text(mistakes[i].text), -EINVAL);
		if (strncmp(error.text, mistakes[i].says, strlen(mistakes[i].says)))
			fail_msg("mistake %zu: \"%s\", not \"%s\"", i, error.text,
				 mistakes[i].says);
	}
}

static void all_sections_are_read(void **state)
{
	assert_int_equal(read_text("memory: { frames: random }\n"
				   "container: compat\n"
				   "iommus:\n"
				   "  - { model: generic, id: smmu }\n"
				   "bridges:\n"
				   "  - { addr: 0000:00:1c.0, bus: 1, acs: no }\n"
				   "  - { addr: 0000:01:00.0, bus: 0x2 }\n"
				   "devices:\n"
				   "  - model: nvme\n"
				   "    addr: 0000:02:00.1\n"
				   "    iommu: smmu\n"
				   "    access: no-mmap\n"
				   "    image: 'a, b.img'\n"
				   "  - model: dsa\n"
				   "    id: engine\n"),
			 0);
	assert_int_equal(desc.frames, IOMMUFD_FRAMES_RANDOM);
	assert_int_equal(desc.container, VFIO_CONTAINER_COMPAT);
	assert_int_equal(desc.num_iommus, 1);
	assert_string_equal(desc.iommus[0].id, "smmu");
	assert_int_equal(desc.num_bridges, 2);
	assert_false(desc.bridges[0].desc.acs);
	assert_true(desc.bridges[1].desc.acs);
	assert_int_equal(desc.bridges[1].desc.secondary, 2);
	assert_int_equal(desc.num_devices, 2);
	assert_string_equal(desc.devices[0].id, "nvme0");
	assert_int_equal(desc.devices[0].addr.bus, 2);
	assert_int_equal(desc.devices[0].addr.devfn, 1);
	assert_int_equal(desc.devices[0].access, PCI_ACCESS_NO_MMAP);
	assert_int_equal(desc.devices[0].options.count, 1);
	assert_string_equal(desc.devices[0].options.list[0].value, "a, b.img");
	assert_string_equal(desc.devices[1].id, "engine");
	assert_null(desc.devices[1].iommu);
	assert_int_equal(desc.devices[1].access, PCI_ACCESS_TRAP);
}

static void json_is_read_too(void **state)
{
	assert_int_equal(read_text("{\"devices\": [{\"model\": \"nvme\", \"size\": \"64M\","
				   " \"addr\": \"0000:00:04.0\"}]}"),
			 0);
	assert_int_equal(desc.devices[0].addr.devfn, 4 << 3);
}

static void what_is_left_open_is_filled_in(void **state)
{
	assert_int_equal(read_text("devices:\n"
				   "  - { model: nvme, addr: 00:01.0 }\n"
				   "  - { model: nvme }\n"
				   "  - { model: nvme, addr: 07:00.0 }\n"
				   "  - { model: nvme, id: nvme0 }\n"),
			 -EINVAL);
	assert_non_null(strstr(error.text, "m.yaml:5:24: nvme0: there is one of this name"));
	assert_int_equal(read_text("devices:\n"
				   "  - { model: nvme, addr: 00:01.3 }\n"
				   "  - { model: nvme }\n"
				   "  - { model: nvme, addr: 07:00.0 }\n"),
			 0);
	assert_int_equal(desc.num_iommus, 1);
	assert_string_equal(desc.iommus[0].id, "generic0");
	assert_int_equal(desc.devices[1].addr.bus, 0);
	assert_int_equal(desc.devices[1].addr.devfn, 2 << 3);
	assert_int_equal(desc.num_bridges, 1);
	assert_true(desc.bridges[0].implied);
	assert_int_equal(desc.bridges[0].desc.secondary, 7);
	assert_int_equal(desc.bridges[0].desc.addr.devfn, 31 << 3);
}

static void a_bus_has_room_for_so_many(void **state)
{
	char text[4096] = "devices:\n";

	for (int i = 0; i < 31; i++)
		strcat(text, "  - model: dsa\n");
	assert_int_equal(read_text(text), 0);
	assert_int_equal(desc.devices[30].addr.devfn, 31 << 3);
	strcat(text, "  - model: dsa\n");
	assert_int_equal(read_text(text), -EINVAL);
	assert_string_equal(error.text,
			    "m.yaml:33:5: dsa31: no slot of bus 0 is free: give it an addr");
}

static void numbers_of_things_are_limited(void **state)
{
	size_t size = 1 << 20, len;
	char *text = malloc(size);

	len = (size_t)snprintf(text, size, "devices:\n");
	for (int i = 0; i < MACHINE_DEVICES_MAX + 1; i++)
		len += (size_t)snprintf(text + len, size - len, "  - model: dsa\n");
	assert_int_equal(read_text(text), -EINVAL);
	assert_string_equal(error.text, "m.yaml:258:5: devices: more than 256");
	len = (size_t)snprintf(text, size, "devices:\n  - model: nvme\n");
	for (int i = 0; i < MACHINE_KEYS_MAX; i++)
		len += (size_t)snprintf(text + len, size - len, "    k%d: 1\n", i);
	assert_int_equal(read_text(text), -EINVAL);
	assert_string_equal(error.text, "m.yaml:2:5: devices: more than 32 keys");
	len = (size_t)snprintf(text, size, "devices:\n  - model: nvme\n    image: ");
	memset(text + len, 'a', 5000);
	strcpy(text + len + 5000, "\n");
	assert_int_equal(read_text(text), -EINVAL);
	assert_string_equal(error.text, "m.yaml:3:12: image: its value is longer than 4095 bytes");
	memset(text, '[', size - 1);
	text[size - 1] = 0;
	assert_int_equal(read_text(text), -EINVAL);
	assert_string_equal(error.text, "m.yaml:1:17: file: nested too deeply");
	free(text);
}

static void an_alias_that_holds_itself_ends(void **state)
{
	assert_int_equal(read_text("devices: &a\n  - *a\n"), -EINVAL);
	assert_int_equal(read_text("devices:\n  - &d {model: dsa}\n  - *d\n"), 0);
	assert_int_equal(desc.num_devices, 2);
}

static void files_are_read_and_missed(void **state)
{
	char path[] = "/tmp/machine-XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, "devices:\n - model: x\n", 21), 21);
	close(fd);
	machine_desc_fini(&desc);
	assert_int_equal(machine_desc_file(&desc, path, &error), -EINVAL);
	assert_non_null(strstr(error.text, path));
	assert_non_null(strstr(error.text, ":2:11: x: no such model"));
	assert_int_equal(truncate(path, 2 << 20), 0);
	assert_int_equal(machine_desc_file(&desc, path, &error), -EFBIG);
	unlink(path);
	assert_int_equal(machine_desc_file(&desc, path, &error), -ENOENT);
	assert_non_null(strstr(error.text, "No such file"));
	assert_int_equal(machine_desc_file(&desc, "/tmp", &error), -EISDIR);
}

/* Each allocation fails once; nothing leaks and the last time all is well. */
static void want_of_memory_is_survived(void **state)
{
	struct fault_state fault = {0};
	int rc, n;

	for (n = 1; n < 1000; n++) {
		machine_desc_fini(&desc);
		atomic_store(&fault.nth, n);
		fault_current = &fault;
		rc = read_text("iommus: [{model: generic}]\n"
			       "bridges: [{addr: 00:02.0, bus: 3}]\n"
			       "devices: [{model: nvme, size: 1M, addr: 09:00.0}, {model: dsa}]\n");
		fault_current = NULL;
		if (atomic_load(&fault.nth))
			break;
		assert_int_equal(rc, -ENOMEM);
	}
	assert_int_equal(rc, 0);
	assert_in_range(n, 10, 100);
}

static int end(void **state)
{
	machine_desc_fini(&desc);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_mistake_is_named_with_its_place),
		cmocka_unit_test(all_sections_are_read),
		cmocka_unit_test(json_is_read_too),
		cmocka_unit_test(what_is_left_open_is_filled_in),
		cmocka_unit_test(a_bus_has_room_for_so_many),
		cmocka_unit_test(numbers_of_things_are_limited),
		cmocka_unit_test(an_alias_that_holds_itself_ends),
		cmocka_unit_test(files_are_read_and_missed),
		cmocka_unit_test(want_of_memory_is_survived),
	};

	machine_desc_init(&desc, fake_models);
	return cmocka_run_group_tests(tests, NULL, end);
}
