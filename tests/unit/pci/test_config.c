/* SPDX-License-Identifier: MIT */
/*
 * Configuration space: the rights of each bit, against a table of their own; how BARs are
 * sized; the chains of capabilities.
 */
#include "rig.h"

/* ---- finding capabilities as a driver does ---- */

static u32 cap_find(struct edu *edu, u8 id)
{
	u32 at = cfg_read(edu, PCI_CAPABILITY_LIST, 1);

	for (int i = 0; at && i < 48; i++) {
		assert_true(at >= 0x40 && !(at & 3));
		if (cfg_read(edu, at, 1) == id)
			return at;
		at = cfg_read(edu, at + 1, 1);
	}
	return 0;
}

static u32 ext_find(struct edu *edu, u16 id)
{
	u32 at = 0x100, head;

	for (int i = 0; at && i < 480; i++) {
		assert_true(at >= 0x100 && !(at & 3));
		head = cfg_read(edu, at, 4);
		if ((head & 0xffff) == id)
			return at;
		at = head >> 20;
	}
	return 0;
}

/* ---- rights ---- */

/** struct right - bits of a register that a driver may change; @cap 0: header; above 0xff: extended
 */
struct right {
	u32 cap;
	bool ext;
	u32 offset;
	u32 bits;
};

/* Written down anew here: PCIe 6.0, and what Linux lets a user space driver do. */
static const struct right rights[] = {
	{0, false, 0x04, 0x00000547}, /* IO, memory, master, parity, SERR, INTx disable */
	{0, false, 0x0c, 0x0000ffff}, /* cache line, latency timer */
	{0, false, 0x10, 0xfffff000}, /* BAR 0: 4 KiB, 64-bit */
	{0, false, 0x14, 0xffffffff},
	{0, false, 0x18, 0xffffe000}, /* BAR 2: 8 KiB */
	{0, false, 0x20, 0xffff0000}, /* BAR 4: 64 KiB, 64-bit */
	{0, false, 0x24, 0xffffffff},
	{0, false, 0x3c, 0x000000ff},		   /* interrupt line */
	{PCI_CAP_ID_MSI, false, 0x04, 0xfffffffc}, /* address */
	{PCI_CAP_ID_MSI, false, 0x08, 0xffffffff},
	{PCI_CAP_ID_MSI, false, 0x0c, 0x0000ffff}, /* data */
	{PCI_CAP_ID_EXP, false, 0x08, 0x00007dff}, /* not phantom functions, not FLR */
	{PCI_CAP_ID_EXP, false, 0x28, 0x0000035f}, /* not ARI forwarding */
	{PCI_EXT_CAP_ID_ERR, true, 0x08, 0x03fff030},
	{PCI_EXT_CAP_ID_ERR, true, 0x0c, 0x03fff030},
	{PCI_EXT_CAP_ID_ERR, true, 0x14, 0x0000f1c1},
};

static void rights_table(struct edu *edu, u8 *mask)
{
	memset(mask, 0, PCI_CONFIG_SIZE);
	for (size_t i = 0; i < ARRAY_SIZE(rights); i++) {
		const struct right *right = &rights[i];
		u32 base = 0;

		if (right->cap)
			base = right->ext ? ext_find(edu, (u16)right->cap)
					  : cap_find(edu, (u8)right->cap);
		assert_true(base || !right->cap);
		memcpy(mask + base + right->offset, &right->bits, 4);
	}
}

/* Bits that mean more than that they are kept have tests of their own. */
static bool is_special(struct edu *edu, u32 at)
{
	u32 pm = cap_find(edu, PCI_CAP_ID_PM), msi = cap_find(edu, PCI_CAP_ID_MSI);
	u32 exp = cap_find(edu, PCI_CAP_ID_EXP);

	return at == pm + PCI_PM_CTRL || at == msi + PCI_MSI_FLAGS ||
	       at == exp + PCI_EXP_DEVCTL + 1;
}

static void each_bit_has_its_rights(void **state)
{
	struct edu *edu = rig_add(*state, "0000:00:01.0", NULL, PCI_ACCESS_NO_MMAP);
	u8 mask[PCI_CONFIG_SIZE], expect[PCI_CONFIG_SIZE];
	unsigned int seed = 7;
	struct told told;

	rig_open(edu, &told, NULL);
	rights_table(edu, mask);
	for (u32 at = 0; at < PCI_CONFIG_SIZE; at++)
		expect[at] = (u8)cfg_read(edu, at, 1);
	for (int i = 0; i < 40000; i++) {
		unsigned int len = 1U << rand_r(&seed) % 3;
		u32 at = (u32)rand_r(&seed) % (i & 1 ? 0x180 : PCI_CONFIG_SIZE) & ~(len - 1);
		u32 value = (u32)rand_r(&seed) * 2654435761U;
		bool special = false;

		for (unsigned int j = 0; j < len; j++)
			special |= is_special(edu, at + j);
		if (special)
			continue;
		cfg_write(edu, at, value, len);
		for (unsigned int j = 0; j < len; j++) {
			u8 byte = (u8)(value >> 8 * j);

			expect[at + j] =
				(u8)((expect[at + j] & ~mask[at + j]) | (byte & mask[at + j]));
			assert_int_equal(cfg_read(edu, at + j, 1), expect[at + j]);
		}
	}
	for (u32 at = 0; at < PCI_CONFIG_SIZE; at++)
		assert_int_equal(cfg_read(edu, at, 1), expect[at]);
	rig_close(&told);
}

static void the_bits_that_mean_something(void **state)
{
	struct edu *edu = rig_add(*state, "0000:00:01.0", NULL, PCI_ACCESS_NO_MMAP);
	u32 msi = cap_find(edu, PCI_CAP_ID_MSI), msix = cap_find(edu, PCI_CAP_ID_MSIX);
	u32 pm = cap_find(edu, PCI_CAP_ID_PM), exp = cap_find(edu, PCI_CAP_ID_EXP);
	struct told told;

	rig_open(edu, &told, NULL);
	/* MSI: 8 are capable, so no more can be asked for; the enable bit is the API's. */
	cfg_write(edu, msi + PCI_MSI_FLAGS, 0xffff, 2);
	assert_int_equal(cfg_read(edu, msi + PCI_MSI_FLAGS, 2),
			 PCI_MSI_FLAGS_64BIT | 3 << 1 | 3 << 4);
	pci_irq_set_mode(&edu->pdev, PCI_IRQ_MSI);
	assert_true(cfg_read(edu, msi + PCI_MSI_FLAGS, 2) & PCI_MSI_FLAGS_ENABLE);
	cfg_master(edu, true);
	pci_raise(&edu->pdev, 0);
	assert_int_equal(atomic_load(&told.irqs[0]), 1);
	cfg_write(edu, msi + PCI_MSI_FLAGS, 0, 2);
	pci_raise(&edu->pdev, 0);
	assert_int_equal(atomic_load(&told.irqs[0]), 1);
	pci_irq_set_mode(&edu->pdev, -1);
	cfg_write(edu, msi + PCI_MSI_FLAGS, 0xffff, 2);
	assert_false(cfg_read(edu, msi + PCI_MSI_FLAGS, 2) & PCI_MSI_FLAGS_ENABLE);
	/* MSI-X: nothing is the driver's. */
	cfg_write(edu, msix + PCI_MSIX_FLAGS, 0xffff, 2);
	assert_int_equal(cfg_read(edu, msix + PCI_MSIX_FLAGS, 2), 15);
	pci_irq_set_mode(&edu->pdev, PCI_IRQ_MSIX);
	assert_int_equal(cfg_read(edu, msix + PCI_MSIX_FLAGS, 2), PCI_MSIX_FLAGS_ENABLE | 15);
	cfg_write(edu, msix + PCI_MSIX_FLAGS, 0, 2);
	assert_int_equal(cfg_read(edu, msix + PCI_MSIX_FLAGS, 2), PCI_MSIX_FLAGS_ENABLE | 15);
	/* Power: PME bits do not take. */
	cfg_write(edu, pm + PCI_PM_CTRL, 0xfffc, 2);
	assert_int_equal(cfg_read(edu, pm + PCI_PM_CTRL, 2), 0);
	/* The upper byte of device control without the FLR bit. */
	cfg_write(edu, exp + PCI_EXP_DEVCTL + 1, 0x7f, 1);
	assert_int_equal(cfg_read(edu, exp + PCI_EXP_DEVCTL + 1, 1), 0x7d);
	assert_int_equal(atomic_load(&edu->resets), 1);
	rig_close(&told);
}

static void bars_are_sized_by_writing_ones(void **state)
{
	struct pci_desc desc = edu_desc;
	struct edu *edu;
	struct told told;

	desc.bars[1] = (struct pci_bar_desc){0};
	desc.bars[3] = (struct pci_bar_desc){.size = 32, .io = true};
	edu = rig_add(*state, "0000:00:01.0", &desc, PCI_ACCESS_NO_MMAP);
	rig_open(edu, &told, NULL);
	for (u32 at = PCI_BASE_ADDRESS_0; at <= PCI_BASE_ADDRESS_5; at += 4)
		cfg_write(edu, at, UINT32_MAX, 4);
	cfg_write(edu, PCI_ROM_ADDRESS, UINT32_MAX, 4);
	assert_int_equal(cfg_read(edu, PCI_BASE_ADDRESS_0, 4), 0xfffff004);
	assert_int_equal(cfg_read(edu, PCI_BASE_ADDRESS_1, 4), 0xffffffff);
	assert_int_equal(cfg_read(edu, PCI_BASE_ADDRESS_2, 4), 0xffffe000);
	assert_int_equal(cfg_read(edu, PCI_BASE_ADDRESS_3, 4), 0xffffffe1);
	assert_int_equal(cfg_read(edu, PCI_BASE_ADDRESS_4, 4), 0xffff000c);
	assert_int_equal(cfg_read(edu, PCI_BASE_ADDRESS_5, 4), 0xffffffff);
	assert_int_equal(cfg_read(edu, PCI_ROM_ADDRESS, 4), 0);
	for (u32 at = PCI_BASE_ADDRESS_0; at <= PCI_BASE_ADDRESS_5; at += 4)
		cfg_write(edu, at, 0, 4);
	assert_int_equal(cfg_read(edu, PCI_BASE_ADDRESS_4, 4), 0xc);
	/* Where a driver thinks it is does not move it. */
	assert_int_equal(bar_read(edu, 0, 0, 4), EDU_ID);
	/* I/O ports answer by their own bit. */
	bar_write(edu, 3, 0, 1, 1);
	cfg_write(edu, PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
	assert_int_equal(pci_bar_access(&edu->pdev, 3, 0, &(u32){0}, 4, false), -EIO);
	rig_close(&told);
}

static void the_chains_hold_all_there_is(void **state)
{
	static const u8 ids[] = {PCI_CAP_ID_PM, PCI_CAP_ID_MSI, PCI_CAP_ID_MSIX, PCI_CAP_ID_EXP};
	static const u16 ext_ids[] = {PCI_EXT_CAP_ID_ERR,   PCI_EXT_CAP_ID_ACS,
				      PCI_EXT_CAP_ID_ATS,   PCI_EXT_CAP_ID_PRI,
				      PCI_EXT_CAP_ID_PASID, PCI_EXT_CAP_ID_SRIOV};
	struct edu *edu = rig_add(*state, "0000:00:01.0", NULL, PCI_ACCESS_NO_MMAP);
	u32 exp = cap_find(edu, PCI_CAP_ID_EXP), pasid = ext_find(edu, PCI_EXT_CAP_ID_PASID);

	assert_true(cfg_read(edu, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST);
	for (size_t i = 0; i < ARRAY_SIZE(ids); i++)
		assert_true(cap_find(edu, ids[i]));
	for (size_t i = 0; i < ARRAY_SIZE(ext_ids); i++)
		assert_true(ext_find(edu, ext_ids[i]));
	assert_int_equal(cap_find(edu, PCI_CAP_ID_VPD), 0);
	assert_int_equal(ext_find(edu, PCI_EXT_CAP_ID_ARI), 0);
	assert_true(cfg_read(edu, exp + PCI_EXP_DEVCAP, 4) & PCI_EXP_DEVCAP_FLR);
	assert_int_equal(cfg_read(edu, pasid + PCI_PASID_CAP, 2) >> 8 & 0x1f, 20);
	assert_int_equal(cfg_read(edu, pasid + PCI_PASID_CTRL, 2), PCI_PASID_CTRL_ENABLE);
	assert_int_equal(cfg_read(edu, PCI_VENDOR_ID, 4), EDU_DEVICE << 16 | EDU_VENDOR);
	assert_int_equal(cfg_read(edu, PCI_CLASS_REVISION, 4), 0x00ff0010);
	assert_int_equal(cfg_read(edu, PCI_INTERRUPT_PIN, 1), 1);
	assert_int_equal(pci_config_size(&edu->pdev), 4096);
}

static void a_plain_function_has_256_bytes(void **state)
{
	static const struct pci_desc plain = {
		.model = "plain", .vendor = 1, .device = 2, .bars = {{.size = 16}}};
	struct edu *edu = rig_add(*state, "0000:00:01.0", &plain, PCI_ACCESS_NO_MMAP);

	assert_int_equal(pci_config_size(&edu->pdev), 256);
	assert_int_equal(cfg_read(edu, PCI_CAPABILITY_LIST, 1), 0);
	assert_int_equal(cfg_read(edu, PCI_STATUS, 2), 0);
	assert_int_equal(cfg_read(edu, 0x100, 4), UINT32_MAX);
	assert_int_equal(pci_irq_count(&edu->pdev, PCI_IRQ_ERR), 0);
	assert_int_equal(pci_irq_count(&edu->pdev, PCI_IRQ_INTX), 0);
	assert_int_equal(pci_irq_count(&edu->pdev, PCI_IRQ_REQ), 1);
}

static void a_description_must_make_sense(void **state)
{
	struct rig *rig = *state;
	struct pci_desc bad[] = {edu_desc, edu_desc, edu_desc, edu_desc, edu_desc, edu_desc,
				 edu_desc, edu_desc, edu_desc, edu_desc, edu_desc};
	struct edu *edu;

	bad[0].bars[0].size = 3000;
	bad[1].bars[1].size = 4096; /* the upper half of BAR 0 */
	bad[2].bars[0].size = 1ULL << 31;
	bad[3].msix_vectors = 2049;
	bad[4].msix_bar = 5;
	bad[5].msi_vectors = 5;
	bad[6].has_pcie = false;
	bad[7].vf = NULL;
	bad[8].bars[4].areas[0].offset = 0x800;
	bad[9].bars[4].areas[1] = (struct pci_area){0xf000, PAGE_SIZE}; /* twice there */
	bad[10].bars[4].areas[0].size = 2 * EDU_RAM_SIZE;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		edu = edu_create(&bad[i], PCI_ACCESS_NO_MMAP);
		assert_int_equal(pci_dev_add(rig->topology, &edu->pdev, rig_addr("00:01.0"), NULL),
				 -EINVAL);
		edu->pdev.ops->destroy(&edu->pdev);
	}
	/* Nothing that could be mapped apart. */
	bad[0] = edu_desc;
	bad[0].bars[4].areas[0].size = 0;
	edu = edu_create(&bad[0], PCI_ACCESS_SPLIT);
	assert_int_equal(pci_dev_add(rig->topology, &edu->pdev, rig_addr("00:01.0"), NULL),
			 -EOPNOTSUPP);
	edu->pdev.ops->destroy(&edu->pdev);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(each_bit_has_its_rights),	      CASE(the_bits_that_mean_something),
		CASE(bars_are_sized_by_writing_ones), CASE(the_chains_hold_all_there_is),
		CASE(a_plain_function_has_256_bytes), CASE(a_description_must_make_sense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
