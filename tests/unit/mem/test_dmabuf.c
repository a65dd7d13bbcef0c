/* SPDX-License-Identifier: MIT */
/*
 * Buffers that their exporter may take back.
 */
#include "mem/dmabuf.h"
#include "mem_fixture.h"

struct importer {
	struct dmabuf_importer importer;
	u32 told;
};

static void count_revocation(struct dmabuf_importer *importer)
{
	container_of(importer, struct importer, importer)->told++;
}

static void count_release(void *data)
{
	++*(u32 *)data;
}

static void the_last_user_releases_the_buffer(void **state)
{
	struct dmabuf *buf;
	u32 released = 0;

	assert_int_equal(dmabuf_create(5 * GIB, 3 * PAGE_SIZE, count_release, &released, &buf), 0);
	assert_int_equal(dmabuf_pa(buf), 5 * GIB);
	assert_int_equal(dmabuf_size(buf), 3 * PAGE_SIZE);
	assert_ptr_equal(dmabuf_get(buf), buf);
	dmabuf_put(buf);
	assert_int_equal(released, 0);
	dmabuf_put(buf);
	assert_int_equal(released, 1);
	dmabuf_put(NULL);
}

static void revoking_tells_every_importer_in_both_directions(void **state)
{
	struct importer a = { { .revoked = count_revocation }, 0 }, b = a;
	struct dmabuf *buf;

	assert_int_equal(dmabuf_create(5 * GIB, PAGE_SIZE, NULL, NULL, &buf), 0);
	assert_int_equal(dmabuf_attach(buf, &a.importer), 0);
	assert_int_equal(dmabuf_attach(buf, &b.importer), 0);
	dmabuf_revoke(buf, true);
	assert_int_equal(a.told, 1);
	assert_int_equal(b.told, 1);
	dmabuf_detach(buf, &a.importer);
	assert_int_equal(dmabuf_attach(buf, &a.importer), -ENODEV);
	dmabuf_revoke(buf, false);
	assert_int_equal(a.told, 1);
	assert_int_equal(b.told, 2);
	assert_int_equal(dmabuf_attach(buf, &a.importer), 0);
	dmabuf_detach(buf, &a.importer);
	dmabuf_detach(buf, &b.importer);
	dmabuf_put(buf);
}

struct race {
	struct dmabuf *buf;
	_Atomic bool stop;
};

static void *import_often(void *arg)
{
	struct race *race = arg;

	while (!atomic_load(&race->stop)) {
		struct importer me = { { .revoked = count_revocation }, 0 };

		if (!dmabuf_attach(race->buf, &me.importer))
			dmabuf_detach(race->buf, &me.importer);
	}
	return NULL;
}

static void nobody_is_told_after_detaching(void **state)
{
	struct race race = { 0 };
	pthread_t threads[2];

	assert_int_equal(dmabuf_create(5 * GIB, PAGE_SIZE, NULL, NULL, &race.buf), 0);
	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, import_often, &race);
	for (int i = 0; i < 5000; i++)
		dmabuf_revoke(race.buf, i & 1);
	atomic_store(&race.stop, true);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	dmabuf_put(race.buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_last_user_releases_the_buffer),
		cmocka_unit_test(revoking_tells_every_importer_in_both_directions),
		cmocka_unit_test(nobody_is_told_after_detaching),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
