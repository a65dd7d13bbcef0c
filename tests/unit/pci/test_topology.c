/* SPDX-License-Identifier: MIT */
/*
 * Who is where: addresses, buses, groups; virtual functions; coming and going.
 */
#include "rig.h"

#include <pthread.h>

#include "iommu/group.h"

int iommufd_generic_probe(struct iommufd_system *system, struct device *dev);

static struct pci_desc plain_desc(bool acs)
{
	struct pci_desc desc = edu_desc;

	desc.sriov_vfs = 0;
	desc.vf = NULL;
	desc.acs = acs;
	return desc;
}

static int group_of(struct rig *rig, const char *address, bool acs)
{
	struct pci_desc desc = plain_desc(acs);

	return pci_group_id(&rig_add(rig, address, &desc, PCI_ACCESS_NO_MMAP)->pdev);
}

static void bridge(struct rig *rig, const char *address, u8 secondary, bool acs)
{
	const struct pci_bridge_desc desc = {
		.addr = rig_addr(address), .secondary = secondary, .acs = acs};

	assert_int_equal(pci_bridge_add(rig->topology, &desc), 0);
}

static void addresses_are_read_strictly(void **state)
{
	static const char *const bad[] = {
		"",	   "00:00",	    "0000:00:00",    "0000:00:20.0",
		"00:00.8", "0000:00:00.0 ", "00000:00:00.0", "x:00:00.0",
		"00:00.",  "0000:00:00.00"};
	struct pci_addr addr;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(pci_addr_parse(bad[i], &addr));
	assert_true(pci_addr_parse("0001:a2:1f.7", &addr));
	assert_int_equal(addr.domain, 1);
	assert_int_equal(addr.bus, 0xa2);
	assert_int_equal(addr.devfn, 0xff);
	assert_true(pci_addr_parse("01:02.3", &addr));
	assert_int_equal(addr.domain, 0);
	assert_int_equal(addr.devfn, 0x13);
}

static void places_are_taken_once(void **state)
{
	struct rig *rig = *state;
	struct pci_desc desc = plain_desc(true);
	struct edu *other = edu_create(&desc, PCI_ACCESS_NO_MMAP);
	struct pci_bridge_desc port = {.addr = rig_addr("00:01.0"), .secondary = 1};

	group_of(rig, "00:02.0", true);
	assert_int_equal(pci_dev_add(rig->topology, &other->pdev, rig_addr("00:02.0"), NULL),
			 -EEXIST);
	assert_int_equal(pci_dev_add(rig->topology, &other->pdev, rig_addr("05:02.0"), NULL),
			 -EINVAL);
	assert_int_equal(pci_bridge_add(rig->topology, &port), 0);
	assert_int_equal(pci_dev_add(rig->topology, &other->pdev, rig_addr("00:01.0"), NULL),
			 -EEXIST);
	assert_int_equal(pci_bridge_add(rig->topology, &port), -EEXIST);
	port.addr = rig_addr("00:03.0");
	assert_int_equal(pci_bridge_add(rig->topology, &port), -EEXIST);
	port.secondary = 0;
	assert_int_equal(pci_bridge_add(rig->topology, &port), -EINVAL);
	port = (struct pci_bridge_desc){.addr = rig_addr("07:00.0"), .secondary = 9};
	assert_int_equal(pci_bridge_add(rig->topology, &port), -ENOENT);
	assert_int_equal(pci_dev_add(rig->topology, &other->pdev, rig_addr("01:02.0"), NULL), 0);
	assert_ptr_equal(pci_find(rig->topology, rig_addr("01:02.0")), &other->pdev);
	assert_null(pci_find(rig->topology, rig_addr("01:02.1")));
	/* Behind no IOMMU */
	assert_int_equal(pci_group_id(&other->pdev), -1);
}

static int note(struct pci_dev *pdev, void *data)
{
	char *text = data;

	sprintf(text + strlen(text), PCI_ADDR_FMT " ", PCI_ADDR_ARGS(pdev->addr));
	return 0;
}

static void functions_are_in_order(void **state)
{
	struct rig *rig = *state;
	char text[200] = "";

	bridge(rig, "00:1c.0", 1, true);
	group_of(rig, "01:00.0", true);
	group_of(rig, "00:03.1", true);
	group_of(rig, "0001:00:00.0", true);
	group_of(rig, "00:02.0", true);
	pci_for_each(rig->topology, note, text);
	assert_string_equal(text, "0000:00:02.0 0000:00:03.1 0000:01:00.0 0001:00:00.0 ");
}

static void functions_on_the_root_bus(void **state)
{
	struct rig *rig = *state;
	int a = group_of(rig, "00:02.0", false), b = group_of(rig, "00:02.1", false);
	int c = group_of(rig, "00:03.0", true), d = group_of(rig, "00:03.1", true);
	int e = group_of(rig, "00:04.0", false), f = group_of(rig, "00:04.1", true);

	assert_int_equal(a, 0);
	assert_int_equal(a, b);
	assert_int_equal(c, 1);
	assert_int_equal(d, 2);
	assert_int_not_equal(e, f);
	/* A number is free when its last function has gone. */
	pci_dev_remove(pci_find(rig->topology, rig_addr("00:02.0")));
	assert_int_equal(group_of(rig, "00:05.0", false), 5);
	pci_dev_remove(pci_find(rig->topology, rig_addr("00:02.1")));
	assert_int_equal(group_of(rig, "00:06.0", false), 0);
}

static void a_port_without_acs_joins_what_is_behind_it(void **state)
{
	struct rig *rig = *state;
	int a, b, c, d;

	bridge(rig, "00:1c.0", 1, false);
	bridge(rig, "00:1d.0", 2, true);
	a = group_of(rig, "01:00.0", true);
	b = group_of(rig, "01:01.0", true);
	c = group_of(rig, "02:00.0", true);
	d = group_of(rig, "02:01.0", false);
	assert_int_equal(a, b);
	assert_int_not_equal(a, c);
	assert_int_not_equal(c, d);
	assert_ptr_equal(pci_find(rig->topology, rig_addr("01:00.0"))->dev.iommu_group,
			 pci_find(rig->topology, rig_addr("01:01.0"))->dev.iommu_group);
}

static void a_switch_is_as_good_as_its_worst_port(void **state)
{
	struct rig *rig = *state;

	/* Root port with ACS, a switch whose upstream port has none, downstream ports that have. */
	bridge(rig, "00:1c.0", 1, true);
	bridge(rig, "01:00.0", 2, false);
	bridge(rig, "02:00.0", 3, true);
	bridge(rig, "02:01.0", 4, true);
	assert_int_equal(group_of(rig, "03:00.0", true), group_of(rig, "04:00.0", true));
	/* The same with ACS everywhere */
	bridge(rig, "00:1d.0", 5, true);
	bridge(rig, "05:00.0", 6, true);
	bridge(rig, "06:00.0", 7, true);
	bridge(rig, "06:01.0", 8, true);
	assert_int_not_equal(group_of(rig, "07:00.0", true), group_of(rig, "08:00.0", true));
	/* Two ports of one device without ACS, with what is behind them */
	bridge(rig, "00:1e.0", 9, false);
	bridge(rig, "00:1e.1", 10, false);
	assert_int_equal(group_of(rig, "09:00.0", true), group_of(rig, "0a:00.0", true));
}

/* ---- virtual functions ---- */

static void vfs_come_and_go_together(void **state)
{
	struct rig *rig = *state;
	struct edu *pf = rig_add(rig, "00:01.0", NULL, PCI_ACCESS_NO_MMAP);
	struct told told;
	struct edu *vf;
	u32 at = 0x100;

	assert_int_equal(pci_sriov_set(&pf->pdev, EDU_VFS + 1), -EINVAL);
	assert_int_equal(pci_sriov_set(&pf->pdev, 3), 0);
	assert_int_equal(pci_sriov_set(&pf->pdev, 3), 0);
	assert_int_equal(pci_sriov_set(&pf->pdev, 2), -EBUSY);
	while ((cfg_read(pf, at, 4) & 0xffff) != PCI_EXT_CAP_ID_SRIOV)
		at = cfg_read(pf, at, 4) >> 20;
	assert_int_equal(cfg_read(pf, at + PCI_SRIOV_NUM_VF, 2), 3);
	assert_int_equal(cfg_read(pf, at + PCI_SRIOV_VF_OFFSET, 2), 0x80 - 8);
	vf = to_edu(pci_find(rig->topology, rig_addr("00:10.1")));
	assert_ptr_equal(vf->pdev.physfn, &pf->pdev);
	assert_int_equal(cfg_read(vf, PCI_VENDOR_ID, 4), EDU_VF_DEVICE << 16 | EDU_VENDOR);
	assert_int_equal(cfg_read(vf, PCI_CLASS_REVISION, 4), 0x00ff0010);
	assert_int_not_equal(pci_group_id(&vf->pdev), pci_group_id(&pf->pdev));
	/* Opening the PF does not forget them. */
	rig_open(pf, &told, NULL);
	assert_int_equal(cfg_read(pf, at + PCI_SRIOV_NUM_VF, 2), 3);
	rig_close(&told);
	/* In use they stay. */
	rig_open(vf, &told, NULL);
	assert_int_equal(bar_read(vf, 0, 0, 4), EDU_ID);
	assert_int_equal(pci_sriov_set(&pf->pdev, 0), -EBUSY);
	rig_close(&told);
	assert_int_equal(pci_sriov_set(&pf->pdev, 0), 0);
	assert_int_equal(atomic_load(&rig->destroyed), 3);
	assert_null(pci_find(rig->topology, rig_addr("00:10.0")));
	assert_int_equal(pci_sriov_set(&pf->pdev, 8), 0);
	pci_dev_remove(&pf->pdev);
	assert_int_equal(atomic_load(&rig->destroyed), 3 + 8 + 1);
}

static void vfs_behind_a_port_without_acs_share(void **state)
{
	struct rig *rig = *state;
	struct edu *pf;

	bridge(rig, "00:1c.0", 1, false);
	pf = rig_add(rig, "01:00.0", NULL, PCI_ACCESS_NO_MMAP);
	assert_int_equal(pci_sriov_set(&pf->pdev, 2), 0);
	assert_int_equal(pci_group_id(pci_find(rig->topology, rig_addr("01:10.0"))),
			 pci_group_id(&pf->pdev));
}

static void where_vfs_will_be_nobody_else_goes(void **state)
{
	struct rig *rig = *state;
	struct pci_desc desc = plain_desc(true);
	struct edu *pf = rig_add(rig, "00:01.0", NULL, PCI_ACCESS_NO_MMAP);
	struct edu *second = rig_add(rig, "00:01.1", NULL, PCI_ACCESS_NO_MMAP);
	struct edu *other = edu_create(&desc, PCI_ACCESS_NO_MMAP);

	assert_int_equal(pci_dev_add(rig->topology, &other->pdev, rig_addr("00:10.7"), NULL),
			 -EEXIST);
	assert_int_equal(pci_sriov_set(&pf->pdev, 8), 0);
	assert_int_equal(pci_sriov_set(&second->pdev, 8), 0);
	assert_ptr_equal(pci_find(rig->topology, rig_addr("00:11.0"))->physfn, &second->pdev);
	other->pdev.ops->destroy(&other->pdev);
}

static void a_vf_that_is_refused_takes_the_others_back(void **state)
{
	struct rig *rig = *state;
	struct edu *pf = rig_add(rig, "00:01.0", NULL, PCI_ACCESS_NO_MMAP);

	pf->refuse_vf = 2;
	assert_int_equal(pci_sriov_set(&pf->pdev, 4), -EPERM);
	assert_int_equal(atomic_load(&rig->destroyed), 3);
	assert_null(pci_find(rig->topology, rig_addr("00:10.0")));
	assert_int_equal(pci_sriov_set(&pf->pdev, 2), 0);
}

/* ---- listeners ---- */

struct listener {
	struct pci_listener base;
	int added, removing;
	int refuse;
	struct told *told;
};

static int listener_added(struct pci_listener *base, struct pci_dev *pdev)
{
	struct listener *listener = container_of(base, struct listener, base);

	if (listener->refuse)
		return listener->refuse;
	listener->added++;
	return 0;
}

static void listener_removing(struct pci_listener *base, struct pci_dev *pdev)
{
	struct listener *listener = container_of(base, struct listener, base);

	listener->removing++;
	if (listener->told && listener->told->edu == to_edu(pdev))
		rig_close(listener->told);
}

static void a_listener_is_told_and_may_refuse(void **state)
{
	struct rig *rig = *state;
	struct listener listener = {.base = {listener_added, listener_removing}};
	struct pci_desc desc = plain_desc(true);
	struct edu *edu, *other = edu_create(&desc, PCI_ACCESS_NO_MMAP);

	pci_listen(rig->topology, &listener.base);
	edu = rig_add(rig, "00:01.0", &desc, PCI_ACCESS_NO_MMAP);
	assert_int_equal(listener.added, 1);
	listener.refuse = -ENOMEM;
	assert_int_equal(pci_dev_add(rig->topology, &other->pdev, rig_addr("00:02.0"),
				     iommufd_generic_probe),
			 -ENOMEM);
	assert_null(pci_find(rig->topology, rig_addr("00:02.0")));
	other->pdev.ops->destroy(&other->pdev);
	pci_dev_remove(&edu->pdev);
	assert_int_equal(listener.removing, 1);
	pci_listen(rig->topology, NULL);
}

static void what_is_open_is_asked_to_go(void **state)
{
	struct rig *rig = *state;
	struct listener listener = {.base = {listener_added, listener_removing}};
	struct edu *edu;
	struct told told;

	pci_listen(rig->topology, &listener.base);
	edu = rig_add(rig, "00:01.0", NULL, PCI_ACCESS_POLL);
	rig_open(edu, &told, NULL);
	listener.told = &told;
	pci_dev_remove(&edu->pdev);
	assert_int_equal(atomic_load(&rig->destroyed), 1);
	pci_listen(rig->topology, NULL);
}

static void *close_late(void *data)
{
	usleep(30000);
	rig_close(data);
	return NULL;
}

static void removing_waits_for_who_has_it_open(void **state)
{
	struct rig *rig = *state;
	struct edu *edu = rig_add(rig, "00:01.0", NULL, PCI_ACCESS_POLL);
	pthread_t thread;
	struct told told;

	rig_open(edu, &told, NULL);
	pthread_create(&thread, NULL, close_late, &told);
	pci_dev_remove(&edu->pdev);
	pthread_join(thread, NULL);
	assert_int_equal(atomic_load(&rig->destroyed), 1);
}

static void memory_may_run_out_anywhere_while_adding(void **state)
{
	struct rig *rig = *state;
	struct fault_state fault = {0};
	u32 nth = 0;
	int rc;

	do {
		struct edu *edu = edu_create(NULL, PCI_ACCESS_NO_MMAP);

		atomic_store(&fault.nth, ++nth);
		fault_current = &fault;
		rc = pci_dev_add(rig->topology, &edu->pdev, rig_addr("00:01.0"),
				 iommufd_generic_probe);
		if (!rc) {
			rc = pci_sriov_set(&edu->pdev, 2);
			fault_current = NULL;
			pci_dev_remove(&edu->pdev);
		} else {
			fault_current = NULL;
			edu->pdev.ops->destroy(&edu->pdev);
		}
		assert_true(!rc || rc == -ENOMEM);
		assert_null(pci_find(rig->topology, rig_addr("00:01.0")));
	} while (atomic_load(&fault.injected) == nth);
	print_message("%u places where adding fails\n", nth - 1);
	assert_int_equal(rc, 0);
	assert_true(nth > 50);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(addresses_are_read_strictly),
		CASE(places_are_taken_once),
		CASE(functions_are_in_order),
		CASE(functions_on_the_root_bus),
		CASE(a_port_without_acs_joins_what_is_behind_it),
		CASE(a_switch_is_as_good_as_its_worst_port),
		CASE(vfs_come_and_go_together),
		CASE(vfs_behind_a_port_without_acs_share),
		CASE(where_vfs_will_be_nobody_else_goes),
		CASE(a_vf_that_is_refused_takes_the_others_back),
		CASE(a_listener_is_told_and_may_refuse),
		CASE(what_is_open_is_asked_to_go),
		CASE(removing_waits_for_who_has_it_open),
		CASE(memory_may_run_out_anywhere_while_adding),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
