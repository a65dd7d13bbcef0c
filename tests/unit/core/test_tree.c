/* SPDX-License-Identifier: MIT */
/*
 * The file names of a machine: adding, removing, opening, and what happens to who is inside.
 */
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/self.h"
#include "core/tree.h"

struct rig {
	struct iommufd_system *system;
	struct iommufd_process *proc;
};

/** struct attr - an attribute that holds a line */
struct attr {
	struct tree_entry entry;
	struct iommufd_system *system;
	char text[64];
	unsigned int shows;
	_Atomic int inside;
	_Atomic int hold;
	_Atomic int removed;
};

static struct attr *to_attr(struct tree_entry *entry)
{
	return container_of(entry, struct attr, entry);
}

static ssize_t attr_show(struct tree_entry *entry, char *buf)
{
	struct attr *attr = to_attr(entry);

	attr->shows++;
	return snprintf(buf, TREE_TEXT_MAX, "%s %u\n", attr->text, attr->shows);
}

static int attr_store(struct tree_entry *entry, const char *text, size_t len)
{
	struct attr *attr = to_attr(entry);

	if (len >= sizeof(attr->text))
		return -EINVAL;
	memcpy(attr->text, text, len + 1);
	return 0;
}

static int attr_store_slow(struct tree_entry *entry, const char *text, size_t len)
{
	struct attr *attr = to_attr(entry);

	atomic_store(&attr->inside, 1);
	while (atomic_load(&attr->hold))
		usleep(100);
	assert_int_equal(atomic_load(&attr->removed), 0);
	return 0;
}

/* An attribute that takes itself away, memory and all. */
static int attr_store_suicide(struct tree_entry *entry, const char *text, size_t len)
{
	struct attr *attr = to_attr(entry);

	tree_remove(&attr->system->tree, entry);
	memset(attr, 0xaa, sizeof(*attr));
	free(attr);
	return 0;
}

static int setup(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	assert_int_equal(iommufd_system_create(NULL, &rig->system), 0);
	assert_int_equal(iommufd_process_create(rig->system, &rig->proc), 0);
	*state = rig;
	return 0;
}

static int teardown(void **state)
{
	struct rig *rig = *state;

	iommufd_process_destroy(rig->proc);
	iommufd_system_destroy(rig->system);
	free(rig);
	return 0;
}

static struct attr *attr_add(struct rig *rig, const char *path)
{
	struct attr *attr = calloc(1, sizeof(*attr));

	attr->system = rig->system;
	attr->entry = (struct tree_entry){.path = path,
					  .kind = TREE_ATTR,
					  .mode = 0644,
					  .show = attr_show,
					  .store = attr_store};
	strcpy(attr->text, "first");
	assert_int_equal(tree_add(&rig->system->tree, &attr->entry), 0);
	return attr;
}

static void attr_del(struct rig *rig, struct attr *attr)
{
	tree_remove(&rig->system->tree, &attr->entry);
	free(attr);
}

static void a_path_is_taken_once(void **state)
{
	struct rig *rig = *state;
	struct attr *attr = attr_add(rig, "/sys/a");
	struct tree_entry other = {.path = "/sys/a", .kind = TREE_DIR};

	assert_int_equal(tree_add(&rig->system->tree, &other), -EEXIST);
	tree_remove(&rig->system->tree, &other);
	attr_del(rig, attr);
	assert_int_equal(tree_add(&rig->system->tree, &other), 0);
	tree_remove(&rig->system->tree, &other);
	tree_remove(&rig->system->tree, &other);
}

static void what_is_there_decides_how_it_opens(void **state)
{
	struct rig *rig = *state;
	struct attr *attr = attr_add(rig, "/sys/a");
	struct tree_entry link = {.path = "/sys/l", .kind = TREE_LINK, .target = "a"};
	int fd;

	assert_int_equal(tree_add(&rig->system->tree, &link), 0);
	assert_int_equal(iommufd_open(rig->proc, "/sys/none", O_RDONLY), -ENOENT);
	assert_int_equal(iommufd_open(rig->proc, "/sys/l", O_RDONLY), -ENXIO);
	attr->entry.store = NULL;
	assert_int_equal(iommufd_open(rig->proc, "/sys/a", O_RDWR), -EACCES);
	fd = iommufd_open(rig->proc, "/sys/a", O_RDONLY);
	assert_true(fd >= 0);
	assert_int_equal(iommufd_write(rig->proc, fd, "x", 1), -EBADF);
	iommufd_close(rig->proc, fd);
	attr->entry.mode = 0200;
	assert_int_equal(iommufd_open(rig->proc, "/sys/a", O_RDONLY), -EACCES);
	tree_remove(&rig->system->tree, &link);
	attr_del(rig, attr);
}

static void an_attribute_is_asked_at_the_start_and_read_on(void **state)
{
	struct rig *rig = *state;
	struct attr *attr = attr_add(rig, "/sys/a");
	int fd = iommufd_open(rig->proc, "/sys/a", O_RDWR);
	char buf[64] = "";

	assert_int_equal(iommufd_read(rig->proc, fd, buf, 3), 3);
	assert_int_equal(iommufd_read(rig->proc, fd, buf + 3, 60), 5);
	assert_string_equal(buf, "first 1\n");
	assert_int_equal(iommufd_read(rig->proc, fd, buf, 60), 0);
	assert_int_equal(attr->shows, 1);
	assert_int_equal(iommufd_pwrite(rig->proc, fd, "second", 6, 0), 6);
	memset(buf, 0, sizeof(buf));
	assert_int_equal(iommufd_pread(rig->proc, fd, buf, 60, 0), 9);
	assert_string_equal(buf, "second 2\n");
	assert_int_equal(iommufd_pread(rig->proc, fd, buf, 60, UINT64_MAX), 0);
	iommufd_close(rig->proc, fd);
	attr_del(rig, attr);
}

static void an_open_attribute_outlives_its_entry(void **state)
{
	struct rig *rig = *state;
	struct attr *attr = attr_add(rig, "/sys/a");
	int fd = iommufd_open(rig->proc, "/sys/a", O_RDWR);
	char buf[8];

	attr_del(rig, attr);
	assert_int_equal(iommufd_pread(rig->proc, fd, buf, 8, 0), -ENODEV);
	assert_int_equal(iommufd_pwrite(rig->proc, fd, "x", 1, 0), -ENODEV);
	iommufd_close(rig->proc, fd);
}

static void an_attribute_may_remove_itself(void **state)
{
	struct rig *rig = *state;
	struct attr *attr = attr_add(rig, "/sys/a");
	int fd = iommufd_open(rig->proc, "/sys/a", O_RDWR);

	attr->entry.store = attr_store_suicide;
	assert_int_equal(iommufd_pwrite(rig->proc, fd, "1", 1, 0), 1);
	assert_int_equal(iommufd_pwrite(rig->proc, fd, "1", 1, 0), -ENODEV);
	iommufd_close(rig->proc, fd);
}

struct slow {
	struct rig *rig;
	struct attr *attr;
	int fd;
};

static void *write_slowly(void *data)
{
	struct slow *slow = data;

	assert_int_equal(iommufd_pwrite(slow->rig->proc, slow->fd, "x", 1, 0), 1);
	return NULL;
}

static void *remove_it(void *data)
{
	struct slow *slow = data;

	tree_remove(&slow->rig->system->tree, &slow->attr->entry);
	atomic_store(&slow->attr->removed, 1);
	return NULL;
}

static void removing_waits_for_who_is_inside(void **state)
{
	struct rig *rig = *state;
	struct attr *attr = attr_add(rig, "/sys/a");
	struct slow slow = {rig, attr, iommufd_open(rig->proc, "/sys/a", O_RDWR)};
	pthread_t writer, remover;

	attr->entry.store = attr_store_slow;
	atomic_store(&attr->hold, 1);
	pthread_create(&writer, NULL, write_slowly, &slow);
	while (!atomic_load(&attr->inside))
		usleep(100);
	pthread_create(&remover, NULL, remove_it, &slow);
	usleep(20000);
	assert_int_equal(atomic_load(&attr->removed), 0);
	atomic_store(&attr->hold, 0);
	pthread_join(writer, NULL);
	pthread_join(remover, NULL);
	iommufd_close(rig->proc, slow.fd);
	free(attr);
}

struct counting_watcher {
	struct tree_watcher watcher;
	int there;
};

static void count_added(struct tree_watcher *watcher, const struct tree_entry *entry)
{
	container_of(watcher, struct counting_watcher, watcher)->there++;
}

static void count_removed(struct tree_watcher *watcher, const struct tree_entry *entry)
{
	assert_non_null(entry->path);
	container_of(watcher, struct counting_watcher, watcher)->there--;
}

static void a_watcher_sees_all_there_is(void **state)
{
	struct rig *rig = *state;
	struct attr *first = attr_add(rig, "/sys/a");
	struct counting_watcher cw = {{count_added, count_removed}, 0};
	struct attr *second;

	tree_watch(&rig->system->tree, &cw.watcher);
	assert_int_equal(cw.there, 1);
	second = attr_add(rig, "/sys/b");
	assert_int_equal(cw.there, 2);
	attr_del(rig, first);
	assert_int_equal(cw.there, 1);
	tree_watch(&rig->system->tree, NULL);
	attr_del(rig, second);
	assert_int_equal(cw.there, 1);
}

static void an_open_may_fail_for_want_of_memory(void **state)
{
	struct rig *rig = *state;
	struct attr *attr = attr_add(rig, "/sys/a");
	char buf[8];
	int fd, rc = -1;

	for (u32 nth = 1; rc < 0; nth++) {
		assert_true(nth < 20);
		iommufd_fail_nth_set(nth);
		rc = fd = iommufd_open(rig->proc, "/sys/a", O_RDWR);
		if (rc >= 0) {
			rc = (int)iommufd_pread(rig->proc, fd, buf, 8, 0);
			iommufd_fail_nth_set(0);
			iommufd_close(rig->proc, fd);
		}
		iommufd_fail_nth_set(0);
	}
	assert_int_equal(rc, 8);
	attr_del(rig, attr);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_path_is_taken_once),
		CASE(what_is_there_decides_how_it_opens),
		CASE(an_attribute_is_asked_at_the_start_and_read_on),
		CASE(an_open_attribute_outlives_its_entry),
		CASE(an_attribute_may_remove_itself),
		CASE(removing_waits_for_who_is_inside),
		CASE(a_watcher_sees_all_there_is),
		CASE(an_open_may_fail_for_want_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
