/* SPDX-License-Identifier: MIT */
/* Machines that run: made, looked at, changed and ended; with the real models. */
#include "../control/talk.h"

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include <iommufd/device.h>

#include "base/fault.h"

static struct machine *machine;
static struct machine_error error;

static int start(const char *device)
{
	struct machine_desc desc;
	int rc;

	machine_desc_init(&desc, device_models);
	rc = device ? machine_desc_text(&desc, "--device", device, machine_desc_device, &error)
		    : machine_desc_default(&desc, &error);
	if (!rc)
		rc = machine_desc_finish(&desc, &error);
	if (!rc)
		rc = machine_start(&desc, rig.system, &machine, &error);
	machine_desc_fini(&desc);
	return rc;
}

static int machine_end(void **state)
{
	machine_stop(machine);
	machine = NULL;
	return rig_end(state);
}

static struct json_object *ask(const char *line)
{
	struct control_target target = talk_target();
	struct json_object *reply;

	target.machine = machine;
	reply = control_execute(&target, line, strlen(line));
	assert_non_null(reply);
	return reply;
}

static void the_default_machine_runs(void **state)
{
	struct json_object *reply;

	assert_int_equal(start(NULL), 0);
	reply = ask("{\"execute\":\"query-devices\"}");
	expect_text(reply, "return/0/id", "dsa0");
	expect_text(reply, "return/1/id", "nvme0");
	expect_text(reply, "return/1/addr", "0000:00:02.0");
	expect_text(reply, "return/1/iommu", "generic");
	assert_int_not_equal(talk_number(reply, "return/0/group"),
			     talk_number(reply, "return/1/group"));
	json_object_put(reply);
}

static void what_is_wrong_with_an_image_is_said(void **state)
{
	char path[] = "/tmp/image-XXXXXX", text[64];
	int fd = mkstemp(path);

	assert_int_equal(start("nvme,image=/nonexistent/disk"), -ENOENT);
	assert_non_null(strstr(error.text, "--device: nvme0: "));
	assert_non_null(strstr(error.text, "/nonexistent/disk"));
	/* The IOMMU it has made stays with its system. */
	assert_int_equal(rig_end(state), 0);
	assert_int_equal(rig_begin(state), 0);
	/* A file too short for one block. */
	assert_int_equal(write(fd, "x", 1), 1);
	snprintf(text, sizeof(text), "nvme,image=%s", path);
	assert_int_not_equal(start(text), 0);
	assert_non_null(strstr(error.text, "not a multiple of the block"));
	close(fd);
	unlink(path);
	assert_null(machine);
}

static void devices_come_and_go(void **state)
{
	struct json_object *reply;

	assert_int_equal(start(NULL), 0);
	reply = ask(
		"{\"execute\":\"device-add\",\"arguments\":{\"model\":\"nvme\",\"size\":\"8M\"}}");
	expect_text(reply, "return/id", "nvme1");
	json_object_put(reply);
	reply = ask("{\"execute\":\"query-machine\"}");
	expect_text(reply, "return/devices/2/id", "nvme1");
	expect_text(reply, "return/devices/2/addr", "0000:00:03.0");
	expect_text(reply, "return/devices/2/size", "8M");
	json_object_put(reply);
	reply = ask("{\"execute\":\"device-add\",\"arguments\":{\"model\":\"dsa\","
		    "\"addr\":\"00:03.0\"}}");
	expect_text(reply, "error/desc", "device-add: 0000:00:03.0: the address is taken");
	json_object_put(reply);
	reply = ask("{\"execute\":\"device-add\",\"arguments\":{\"model\":\"dsa\","
		    "\"addr\":\"09:00.0\"}}");
	expect_text(reply, "error/desc", "device-add: 0000:09:00.0: no bridge leads to its bus");
	json_object_put(reply);
	reply = ask("{\"execute\":\"device-remove\",\"arguments\":{\"device\":\"00:03.0\"}}");
	assert_non_null(talk_at(reply, "return"));
	json_object_put(reply);
	reply = ask("{\"execute\":\"device-remove\",\"arguments\":{\"device\":\"nvme1\"}}");
	expect_text(reply, "error/class", "DeviceNotFound");
	json_object_put(reply);
	assert_null(machine_slot_get(machine, "nvme1"));
}

static void a_program_may_remove_a_device(void **state)
{
	const char *path = "/sys/devices/pci0000:00/0000:00:02.0/remove";
	int fd;

	assert_int_equal(start(NULL), 0);
	fd = iommufd_open(rig.proc, path, O_WRONLY);
	assert_true(fd >= 0);
	assert_int_equal(iommufd_pwrite(rig.proc, fd, "1", 1, 0), 1);
	assert_int_equal(iommufd_pwrite(rig.proc, fd, "1", 1, 0), -ENODEV);
	iommufd_close(rig.proc, fd);
	assert_null(machine_slot_get(machine, "0000:00:02.0"));
	assert_int_equal(machine_device_remove(machine, "0000:00:02.0"), -ENODEV);
}

static void nobody_is_called(struct pci_client *client, enum pci_irq kind, u32 vector)
{
}

static void nobody_is_told(struct pci_client *client, bool level)
{
}

static void nobody_cares(struct pci_client *client)
{
}

static void dma_goes_through_the_device(void **state)
{
	struct pci_client client = {nobody_is_called, nobody_is_told, nobody_cares};
	struct machine_slot *slot;
	struct iommufd_device *idev;
	struct iommufd_ctx *ctx;
	struct json_object *reply;
	u8 *memory = rig_memory(0x2000);
	u32 ioas = rig_ioas(), pt = ioas, id;

	assert_int_equal(start(NULL), 0);
	slot = machine_slot_get(machine, "nvme0");
	assert_int_equal(pci_dev_open(slot->pdev, &client, NULL), 0);
	pci_config_write(slot->pdev, 4, 6, 2); /* memory, bus master */
	assert_int_equal(iommufd_ctx_from_fd(rig.proc, rig.fd, &ctx), 0);
	idev = iommufd_device_bind(ctx, &slot->pdev->dev, &id);
	assert_false(IS_ERR(idev));
	assert_int_equal(rig_map(ioas, memory, 0x2000, 0x10000), 0);
	assert_int_equal(iommufd_device_attach(idev, IOMMU_NO_PASID, &pt), 0);

	memcpy(memory + 0xffe, "abcd", 4);
	reply = ask("{\"execute\":\"dma-read\",\"arguments\":{\"device\":\"nvme0\","
		    "\"iova\":\"0x10ffe\",\"length\":4}}");
	expect_text(reply, "return/data", "61626364");
	json_object_put(reply);
	reply = ask("{\"execute\":\"dma-write\",\"arguments\":{\"device\":\"nvme0\","
		    "\"iova\":65536,\"data\":\"0102ff\"}}");
	assert_non_null(talk_at(reply, "return"));
	json_object_put(reply);
	assert_memory_equal(memory, "\1\2\xff", 3);
	reply = ask("{\"execute\":\"dma-read\",\"arguments\":{\"device\":\"nvme0\","
		    "\"iova\":\"0x20000\",\"length\":4}}");
	expect_text(reply, "error/desc", "0x20000: nothing is mapped there");
	json_object_put(reply);
	reply = ask("{\"execute\":\"query-devices\"}");
	expect_number(reply, "return/1/context", 1);
	expect_number(reply, "return/1/object", id);
	expect_number(reply, "return/1/attached/0/hwpt", pt);
	assert_true(talk_number(reply, "return/1/iotlb/lookups") >= 3);
	json_object_put(reply);
	reply = ask("{\"execute\":\"query-page-table\"}");
	expect_text(reply, "return/0/entries/0/iova", "0x10000");
	json_object_put(reply);

	iommufd_device_detach(idev, IOMMU_NO_PASID);
	iommufd_device_unbind(idev);
	iommufd_ctx_put(ctx);
	pci_dev_close(slot->pdev, &client);
	machine_slot_put(machine, slot);
}

/* A VF has no id; by its address it is as any other function. */
static void vfs_are_told_by_their_address(void **state)
{
	static const char *const lines[] = {
		"{\"execute\":\"device-reset\",\"arguments\":{\"device\":\"01:10.0\"}}",
		"{\"execute\":\"inject\",\"arguments\":{\"device\":\"0000:01:10.0\","
		"\"what\":\"internal\"}}",
	};
	struct json_object *reply;

	assert_int_equal(start("nvme,id=pf,addr=01:00.0,size=1M,vfs=2"), 0);
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		reply = ask(lines[i]);
		expect_text(reply, "error/class", "DeviceNotFound");
		json_object_put(reply);
	}
	json_object_put(ask("{\"execute\":\"sriov\",\"arguments\":{\"device\":\"pf\",\"vfs\":2}}"));
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		reply = ask(lines[i]);
		assert_non_null(talk_at(reply, "return"));
		json_object_put(reply);
	}
	reply = ask("{\"execute\":\"dma-read\",\"arguments\":{\"device\":\"01:10.1\","
		    "\"iova\":0,\"length\":4}}");
	expect_text(reply, "error/class", "DmaFault");
	json_object_put(reply);
	/* Neither made nor removed by itself. */
	reply = ask("{\"execute\":\"device-remove\",\"arguments\":{\"device\":\"01:10.0\"}}");
	expect_text(reply, "error/class", "DeviceNotFound");
	json_object_put(reply);
	json_object_put(ask("{\"execute\":\"sriov\",\"arguments\":{\"device\":\"pf\",\"vfs\":0}}"));
	reply = ask(lines[0]);
	expect_text(reply, "error/class", "DeviceNotFound");
	json_object_put(reply);
}

static void *looker(void *arg)
{
	for (int i = 0; i < 100; i++) {
		json_object_put(ask("{\"execute\":\"query-devices\"}"));
		json_object_put(ask("{\"execute\":\"query-machine\"}"));
		json_object_put(ask("{\"execute\":\"dma-read\",\"arguments\":{\"device\":\"x\","
				    "\"iova\":0,\"length\":4}}"));
	}
	return NULL;
}

static void devices_come_and_go_while_looked_at(void **state)
{
	pthread_t threads[2];

	assert_int_equal(start(NULL), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, looker, NULL), 0);
	for (int i = 0; i < 20; i++) {
		json_object_put(ask("{\"execute\":\"device-add\",\"arguments\":{"
				    "\"model\":\"dsa\",\"id\":\"x\"}}"));
		json_object_put(
			ask("{\"execute\":\"device-remove\",\"arguments\":{\"device\":\"x\"}}"));
	}
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	assert_null(machine_slot_get(machine, "x"));
}

static void *plugs_one(void *arg)
{
	char add[120], remove[120];

	snprintf(add, sizeof(add),
		 "{\"execute\":\"device-add\",\"arguments\":{\"model\":\"dsa\",\"id\":\"%s\"}}",
		 (const char *)arg);
	snprintf(remove, sizeof(remove),
		 "{\"execute\":\"device-remove\",\"arguments\":{\"device\":\"%s\"}}",
		 (const char *)arg);
	for (int i = 0; i < 40; i++) {
		struct json_object *reply = ask(add);

		expect_text(reply, "return/id", (const char *)arg);
		json_object_put(reply);
		reply = ask(remove);
		assert_non_null(talk_at(reply, "return"));
		json_object_put(reply);
	}
	return NULL;
}

/* Who describes a new one looks at the names of those that are there. */
static void one_is_added_while_others_go(void **state)
{
	static char ids[3][8] = {"x", "y", "z"};
	pthread_t threads[3];

	assert_int_equal(start(NULL), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, plugs_one, ids[i]), 0);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
}

/* Each step of the start fails once; nothing is left, and at last it works. */
static void a_start_that_fails_leaves_nothing(void **state)
{
	struct fault_state fault = {0};
	int rc = -1;
	u32 n;

	for (n = 1; rc && n < 2000; n++) {
		assert_int_equal(rig_begin(state), 0);
		atomic_store(&fault.nth, n);
		fault_current = &fault;
		rc = start(NULL);
		fault_current = NULL;
		if (!atomic_load(&fault.nth))
			rc = rc ?: -EAGAIN; /* a failure that did no harm */
		assert_int_equal(machine_end(state), 0);
	}
	assert_int_equal(rc, 0);
	assert_true(n > 20);
}

#define rigged(f) cmocka_unit_test_setup_teardown(f, rig_begin, machine_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		rigged(the_default_machine_runs),
		rigged(what_is_wrong_with_an_image_is_said),
		rigged(devices_come_and_go),
		rigged(a_program_may_remove_a_device),
		rigged(dma_goes_through_the_device),
		rigged(vfs_are_told_by_their_address),
		rigged(devices_come_and_go_while_looked_at),
		rigged(one_is_added_while_others_go),
		cmocka_unit_test(a_start_that_fails_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
