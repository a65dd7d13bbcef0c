/* SPDX-License-Identifier: MIT */
/* What is shown of a known set of objects, and that looking disturbs nobody. */
#include "talk.h"

#include <pthread.h>
#include <unistd.h>

static struct json_object *row_with(struct json_object *rows, const char *key, u64 value)
{
	for (size_t i = 0; rows && i < json_object_array_length(rows); i++) {
		struct json_object *row = json_object_array_get_idx(rows, i), *field;

		if (json_object_object_get_ex(row, key, &field) &&
		    json_object_get_uint64(field) == value)
			return row;
	}
	fail_msg("no row with %s %llu", key, (unsigned long long)value);
	return NULL;
}

static void contexts_name_their_opener(void **state)
{
	struct json_object *reply;
	int fd = iommufd_open(rig.proc, "/dev/iommu", O_RDWR);

	reply = talk("{\"execute\":\"query-contexts\"}");
	assert_int_equal(json_object_array_length(talk_at(reply, "return")), 2);
	expect_number(reply, "return/0/context", 1);
	expect_text(reply, "return/0/node", "/dev/iommu");
	expect_number(reply, "return/0/pid", (u64)getpid());
	expect_number(reply, "return/1/context", 2);
	json_object_put(reply);
	iommufd_close(rig.proc, rig.fd);
	rig.fd = fd;
	reply = talk("{\"execute\":\"query-contexts\"}");
	assert_int_equal(json_object_array_length(talk_at(reply, "return")), 1);
	expect_number(reply, "return/0/context", 2);
	json_object_put(reply);
}

static void objects_and_their_relations_are_shown(void **state)
{
	struct json_object *reply, *objects, *row;
	u32 ioas = rig_ioas(), pt = 0, dirty;
	struct mock_ids ids = rig_mock(ioas);
	struct iommu_hwpt_set_dirty_tracking on = {.size = sizeof(on),
						   .flags = IOMMU_HWPT_DIRTY_TRACKING_ENABLE};

	assert_int_equal(rig_hwpt(ids.idev, ioas, IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &dirty), 0);
	pt = on.hwpt_id = dirty;
	assert_int_equal(rig_replace(ids.stdev, &pt), 0);
	assert_int_equal(rig_map(ioas, rig_memory(0x4000), 0x4000, 0x1000000), 0);
	reply = talk("{\"execute\":\"query-objects\",\"arguments\":{\"context\":1}}");
	objects = talk_at(reply, "return/0/objects");
	row = row_with(objects, "id", ioas);
	expect_text(row, "type", "ioas");
	expect_number(row, "areas", 1);
	expect_number(row, "bytes", 0x4000);
	row = row_with(objects, "id", dirty);
	expect_text(row, "type", "hwpt");
	expect_number(row, "ioas", ioas);
	expect_text(row, "dirty-tracking", "true");
	expect_text(row, "tracks", "false");
	expect_text(row, "automatic", "false");
	row = row_with(objects, "id", ids.idev);
	expect_text(row, "type", "device");
	expect_number(row, "attached/0/hwpt", dirty);
	assert_null(talk_at(row, "attached/1"));
	json_object_put(reply);
	assert_int_equal(rig_ioctl(IOMMU_HWPT_SET_DIRTY_TRACKING, &on), 0);
	reply = talk("{\"execute\":\"query-objects\",\"arguments\":{\"context\":1}}");
	expect_text(row_with(talk_at(reply, "return/0/objects"), "id", dirty), "tracks", "true");
	json_object_put(reply);
}

static void maps_are_shown_in_pieces(void **state)
{
	u8 *memory = rig_memory(0x40000);
	struct json_object *reply;
	u32 ioas = rig_ioas();
	char line[200];

	for (u64 i = 0; i < 10; i++)
		assert_int_equal(rig_map(ioas, memory + i * 0x1000, 0x1000, i * 0x10000), 0);
	reply = talk("{\"execute\":\"query-ioas\",\"arguments\":{\"limit\":4}}");
	assert_int_equal(json_object_array_length(talk_at(reply, "return/0/areas")), 4);
	expect_text(reply, "return/0/areas/1/iova", "0x10000");
	expect_text(reply, "return/0/areas/1/last", "0x10fff");
	expect_text(reply, "return/0/areas/1/prot", "rw");
	expect_text(reply, "return/0/areas/1/state", "mapped");
	expect_number(reply, "return/0/areas/1/pid", (u64)getpid());
	expect_text(reply, "return/0/more-from", "0x40000");
	snprintf(line, sizeof(line),
		 "{\"execute\":\"query-ioas\",\"arguments\":{\"limit\":20,\"id\":%u,\"from\":\"%"
		 "s\"}}",
		 ioas, talk_text(reply, "return/0/more-from"));
	json_object_put(reply);
	reply = talk(line);
	assert_int_equal(json_object_array_length(talk_at(reply, "return/0/areas")), 6);
	expect_text(reply, "return/0/areas/5/iova", "0x90000");
	assert_null(talk_at(reply, "return/0/more-from"));
	json_object_put(reply);
}

static void page_tables_are_shown_with_their_entries(void **state)
{
	u8 *memory = rig_memory(0x10000);
	u32 ioas = rig_ioas(), hwpt;
	struct json_object *reply, *entries;
	u64 length = 0;
	struct mock_ids ids = rig_mock(ioas);

	assert_int_equal(rig_hwpt(ids.idev, ioas, 0, &hwpt), 0);
	assert_int_equal(rig_map(ioas, memory, 0x8000, 0x2000000), 0);
	assert_int_equal(rig_map(ioas, memory, 0x1000, 0x4000000), 0);
	reply = talk("{\"execute\":\"query-page-table\"}");
	/* The automatic one and ours carry the same map. */
	assert_int_equal(json_object_array_length(talk_at(reply, "return")), 2);
	row_with(talk_at(reply, "return"), "hwpt", hwpt);
	entries = talk_at(reply, "return/1/entries");
	expect_text(entries, "0/iova", "0x2000000");
	expect_text(entries, "0/prot", "rw");
	for (size_t i = 0; i < json_object_array_length(entries); i++)
		length += talk_number(json_object_array_get_idx(entries, i), "length");
	assert_int_equal(length, 0x9000);
	json_object_put(reply);
	reply = talk("{\"execute\":\"query-page-table\",\"arguments\":{\"limit\":1,"
		     "\"from\":\"0x2003000\"}}");
	assert_int_equal(json_object_array_length(talk_at(reply, "return/0/entries")), 1);
	expect_text(reply, "return/0/entries/0/iova", "0x2003000");
	assert_non_null(talk_at(reply, "return/0/more-from"));
	json_object_put(reply);
}

static void dirty_bytes_are_shown_and_stay(void **state)
{
	struct json_object *reply;
	u32 ioas = rig_ioas(), hwpt, pt;
	struct mock_ids ids = rig_mock(ioas);
	struct iommu_hwpt_set_dirty_tracking on = {.size = sizeof(on),
						   .flags = IOMMU_HWPT_DIRTY_TRACKING_ENABLE};
	u64 bits[8] = {0x5};
	struct iommu_test_cmd cmd = {.op = IOMMU_TEST_OP_DIRTY,
				     .dirty = {.iova = 0x1000000,
					       .length = 0x8000,
					       .page_size = 0x1000,
					       .uptr = (uintptr_t)bits}};

	assert_int_equal(rig_hwpt(ids.idev, ioas, IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &hwpt), 0);
	pt = hwpt;
	assert_int_equal(rig_replace(ids.stdev, &pt), 0);
	assert_int_equal(rig_map(ioas, rig_memory(0x8000), 0x8000, 0x1000000), 0);
	on.hwpt_id = hwpt;
	assert_int_equal(rig_ioctl(IOMMU_HWPT_SET_DIRTY_TRACKING, &on), 0);
	cmd.id = hwpt;
	assert_int_equal(rig_test(&cmd), 0);
	for (int i = 0; i < 2; i++) {
		reply = talk("{\"execute\":\"query-dirty\"}");
		expect_number(reply, "return/0/hwpt", hwpt);
		/* The mock marks 2 KiB for each page it is told of. */
		assert_true(talk_number(reply, "return/0/dirty") >= 2 * 2048);
		assert_true(talk_number(reply, "return/0/dirty") <= 2 * 4096);
		expect_number(reply, "return/0/areas/0/length", 0x8000);
		json_object_put(reply);
	}
}

static void events_reach_a_vevent_queue(void **state)
{
	struct iommu_hwpt_alloc parent = {.flags = IOMMU_HWPT_ALLOC_NEST_PARENT};
	struct iommu_viommu_alloc viommu = {.size = sizeof(viommu),
					    .type = IOMMU_VIOMMU_TYPE_SELFTEST};
	struct iommu_veventq_alloc q = {
		.size = sizeof(q), .type = IOMMU_VEVENTQ_TYPE_SELFTEST, .veventq_depth = 4};
	struct iommu_viommu_selftest data = {0};
	u32 ioas = rig_ioas();
	struct mock_ids ids = rig_mock(ioas);
	struct json_object *reply;
	char line[300], bytes[64];

	parent.dev_id = ids.idev;
	parent.pt_id = ioas;
	assert_int_equal(rig_hwpt_alloc(&parent), 0);
	viommu.dev_id = ids.idev;
	viommu.hwpt_id = parent.out_hwpt_id;
	viommu.data_len = sizeof(data);
	viommu.data_uptr = (uintptr_t)&data;
	assert_int_equal(rig_ioctl(IOMMU_VIOMMU_ALLOC, &viommu), 0);
	q.viommu_id = viommu.out_viommu_id;
	snprintf(line, sizeof(line),
		 "{\"execute\":\"report-event\",\"arguments\":{\"context\":1,\"viommu\":%u,"
		 "\"type\":%u,\"data\":\"01020304\"}}",
		 q.viommu_id, IOMMU_VEVENTQ_TYPE_SELFTEST);
	reply = talk(line);
	expect_text(reply, "error/desc", "event: Operation not supported");
	json_object_put(reply);
	assert_int_equal(rig_ioctl(IOMMU_VEVENTQ_ALLOC, &q), 0);
	reply = talk(line);
	assert_non_null(talk_at(reply, "return"));
	json_object_put(reply);
	reply = talk("{\"execute\":\"query-objects\"}");
	expect_number(row_with(talk_at(reply, "return/0/objects"), "id", q.out_veventq_id),
		      "unread", 1);
	json_object_put(reply);
	assert_int_equal(iommufd_read(rig.proc, (int)q.out_veventq_fd, bytes, sizeof(bytes)), 12);
	assert_memory_equal(bytes + 8, "\1\2\3\4", 4);
	iommufd_close(rig.proc, (int)q.out_veventq_fd);
}

/* ---- at the same time ---- */

static _Atomic bool over;

static void *looker(void *arg)
{
	static const char *const lines[] = {
		"{\"execute\":\"query-contexts\"}", "{\"execute\":\"query-objects\"}",
		"{\"execute\":\"query-ioas\"}",	    "{\"execute\":\"query-page-table\"}",
		"{\"execute\":\"query-dirty\"}",    "{\"execute\":\"query-counters\"}",
	};

	for (unsigned int i = 0; !atomic_load(&over); i++)
		json_object_put(talk(lines[i % ARRAY_SIZE(lines)]));
	return NULL;
}

static void looking_changes_no_answer_of_a_busy_program(void **state)
{
	unsigned int rounds = getenv("UIOMMUFD_LONG") ? 2000 : 150;
	u8 *memory = rig_memory(0x100000);
	pthread_t threads[2];

	atomic_store(&over, false);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, looker, NULL), 0);
	for (unsigned int i = 0; i < rounds; i++) {
		u32 ioas = rig_ioas(), hwpt, pt;
		struct mock_ids ids = rig_mock(ioas);
		int fd = iommufd_open(rig.proc, "/dev/iommu", O_RDWR);

		assert_true(fd >= 0);
		assert_int_equal(rig_hwpt(ids.idev, ioas, IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &hwpt),
				 0);
		assert_int_equal(rig_map(ioas, memory, 0x100000, 0x1000000), 0);
		pt = hwpt;
		assert_int_equal(rig_replace(ids.stdev, &pt), 0);
		assert_int_equal(rig_unmap(ioas, 0x1000000, 0x100000), 0);
		assert_int_equal(rig_destroy(ids.stdev), 0);
		assert_int_equal(rig_destroy(hwpt), 0);
		assert_int_equal(rig_destroy(ioas), 0);
		assert_int_equal(iommufd_close(rig.proc, fd), 0);
	}
	atomic_store(&over, true);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
}

#define rigged(f) cmocka_unit_test_setup_teardown(f, rig_begin, rig_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		rigged(contexts_name_their_opener),
		rigged(objects_and_their_relations_are_shown),
		rigged(maps_are_shown_in_pieces),
		rigged(page_tables_are_shown_with_their_entries),
		rigged(dirty_bytes_are_shown_and_stay),
		rigged(events_reach_a_vevent_queue),
		rigged(looking_changes_no_answer_of_a_busy_program),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
