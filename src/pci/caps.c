/* SPDX-License-Identifier: MIT */
/*
 * Capabilities: where they are, what they say, which of their bits a driver may change.
 * Sections are those of the PCI Express Base Specification 6.0.
 */
#include "pci/priv.h"

#define CAP_FIRST 0x40U
#define EXT_FIRST 0x100U

/* States of the errors that a driver may mask and weigh (7.8.4.3, 7.8.4.6). */
#define AER_UNCOR	 0x03fff030U
#define AER_UNCOR_MASKED PCI_ERR_UNC_INTN
#define AER_UNCOR_SEVERE 0x00462030U
#define AER_COR		 0x0000f1c1U
#define AER_COR_MASKED	 (PCI_ERR_COR_ADV_NFAT | PCI_ERR_COR_INTERNAL | PCI_ERR_COR_LOG_OVER)
#define AER_SIZE	 0x48U

/** struct cap_chain - where the next one goes, and where its number is to be written */
struct cap_chain {
	u32 next;
	u32 link;
};

static u16 cap_put(struct pci_priv *priv, struct cap_chain *chain, u8 id, u32 size)
{
	u32 at = chain->next;

	config_put(priv, chain->link, 1, at, 0);
	config_put(priv, at, 2, id, 0);
	chain->link = at + PCI_CAP_LIST_NEXT;
	chain->next = ALIGN_UP(at + size, 0x10U);
	return (u16)at;
}

/* The list begins at 0x100, so its head is the first there is. */
static u16 ext_put(struct pci_priv *priv, struct cap_chain *chain, u16 id, u8 version, u32 size)
{
	u32 at = chain->next;

	if (chain->link)
		config_put(priv, chain->link, 4, config_get(priv, chain->link, 4) | at << 20, 0);
	config_put(priv, at, 4, id | (u32)version << 16, 0);
	chain->link = at;
	chain->next = ALIGN_UP(at + size, 0x10U);
	return (u16)at;
}

/* 7.5.2 */
static void cap_pm(struct pci_priv *priv, struct cap_chain *chain)
{
	u32 at = priv->caps.pm = cap_put(priv, chain, PCI_CAP_ID_PM, PCI_PM_SIZEOF);

	/* Version 3; D1, D2 and PME it has not, and leaving D3hot resets it. */
	config_put(priv, at + PCI_PM_PMC, 2, 3, 0);
	config_put(priv, at + PCI_PM_CTRL, 2, 0, PCI_PM_CTRL_STATE_MASK);
}

/* 7.7.1: with 64-bit addresses, without masks */
static void cap_msi(struct pci_priv *priv, struct cap_chain *chain)
{
	u32 at = priv->caps.msi = cap_put(priv, chain, PCI_CAP_ID_MSI, 0x10);
	u32 capable = (u32)__builtin_ctz(priv->pdev->desc->msi_vectors);

	config_put(priv, at + PCI_MSI_FLAGS, 2, PCI_MSI_FLAGS_64BIT | capable << 1,
		   PCI_MSI_FLAGS_QSIZE);
	config_put(priv, at + PCI_MSI_ADDRESS_LO, 4, 0, 0xfffffffc);
	config_put(priv, at + PCI_MSI_ADDRESS_HI, 4, 0, 0xffffffff);
	config_put(priv, at + PCI_MSI_DATA_64, 2, 0, 0xffff);
}

/* 7.7.2 */
static void cap_msix(struct pci_priv *priv, struct cap_chain *chain)
{
	const struct pci_desc *desc = priv->pdev->desc;
	u32 at = priv->caps.msix = cap_put(priv, chain, PCI_CAP_ID_MSIX, PCI_CAP_MSIX_SIZEOF);

	config_put(priv, at + PCI_MSIX_FLAGS, 2, desc->msix_vectors - 1U, 0);
	config_put(priv, at + PCI_MSIX_TABLE, 4, desc->msix_table | desc->msix_bar, 0);
	config_put(priv, at + PCI_MSIX_PBA, 4, desc->msix_pba | desc->msix_bar, 0);
}

/* 7.5.3 */
static void cap_exp(struct pci_priv *priv, struct cap_chain *chain)
{
	bool flr = priv->pdev->desc->has_flr, integrated = priv->integrated;
	u32 at = priv->caps.exp =
		cap_put(priv, chain, PCI_CAP_ID_EXP, PCI_CAP_EXP_ENDPOINT_SIZEOF_V2);

	config_put(priv, at + PCI_EXP_FLAGS, 2,
		   2U | (integrated ? PCI_EXP_TYPE_RC_END : PCI_EXP_TYPE_ENDPOINT) << 4, 0);
	/* 256 bytes of payload, extended tags, role-based error reporting */
	config_put(priv, at + PCI_EXP_DEVCAP, 4,
		   1U | PCI_EXP_DEVCAP_EXT_TAG | PCI_EXP_DEVCAP_RBER |
			   (flr ? PCI_EXP_DEVCAP_FLR : 0),
		   0);
	/* All but phantom functions and the FLR bit, which reads 0 */
	config_put(priv, at + PCI_EXP_DEVCTL, 2,
		   PCI_EXP_DEVCTL_RELAX_EN | PCI_EXP_DEVCTL_EXT_TAG | PCI_EXP_DEVCTL_NOSNOOP_EN |
			   2U << 12,
		   0xffffU & ~(PCI_EXP_DEVCTL_PHANTOM | PCI_EXP_DEVCTL_BCR_FLR));
	if (!integrated) {
		/* 32 GT/s by 4 */
		config_put(priv, at + PCI_EXP_LNKCAP, 4, 5U | 4U << 4, 0);
		config_put(priv, at + PCI_EXP_LNKSTA, 2, 5U | 4U << 4, 0);
		config_put(priv, at + PCI_EXP_LNKCAP2, 4, 0x3e, 0);
	}
	config_put(priv, at + PCI_EXP_DEVCAP2, 4, PCI_EXP_DEVCAP2_COMP_TMOUT_DIS, 0);
	/* Completion timeout, AtomicOp requester, ID-based ordering; not ARI forwarding */
	config_put(priv, at + PCI_EXP_DEVCTL2, 2, 0,
		   PCI_EXP_DEVCTL2_COMP_TIMEOUT | PCI_EXP_DEVCTL2_COMP_TMOUT_DIS |
			   PCI_EXP_DEVCTL2_ATOMIC_REQ | PCI_EXP_DEVCTL2_IDO_REQ_EN |
			   PCI_EXP_DEVCTL2_IDO_CMP_EN);
}

/* 7.8.4: no error ever shows, but how they are masked is the driver's */
static void ext_aer(struct pci_priv *priv, struct cap_chain *chain)
{
	u32 at = priv->caps.aer = ext_put(priv, chain, PCI_EXT_CAP_ID_ERR, 2, AER_SIZE);

	config_put(priv, at + PCI_ERR_UNCOR_MASK, 4, AER_UNCOR_MASKED, AER_UNCOR);
	config_put(priv, at + PCI_ERR_UNCOR_SEVER, 4, AER_UNCOR_SEVERE, AER_UNCOR);
	config_put(priv, at + PCI_ERR_COR_MASK, 4, AER_COR_MASKED, AER_COR);
}

/* 10.5.1: the IOMMU's driver has switched it on */
static void ext_ats(struct pci_priv *priv, struct cap_chain *chain)
{
	const struct device *dev = &priv->pdev->dev;
	u32 at = priv->caps.ats =
		ext_put(priv, chain, PCI_EXT_CAP_ID_ATS, 1, PCI_EXT_CAP_ATS_SIZEOF);
	bool on = dev->iommu_group && dev->ops->capable &&
		  dev->ops->capable((struct device *)(uintptr_t)dev, IOMMU_CAP_PCI_ATS_SUPPORTED);

	/* Page aligned requests; queue depth 32 reads 0 */
	config_put(priv, at + PCI_ATS_CAP, 2, PCI_ATS_CAP_PAGE_ALIGNED, 0);
	config_put(priv, at + PCI_ATS_CTRL, 2, on ? PCI_ATS_CTRL_ENABLE : 0, 0);
}

/* 10.5.2 */
static void ext_pri(struct pci_priv *priv, struct cap_chain *chain)
{
	u32 at = priv->caps.pri =
		ext_put(priv, chain, PCI_EXT_CAP_ID_PRI, 1, PCI_EXT_CAP_PRI_SIZEOF);

	config_put(priv, at + PCI_PRI_STATUS, 2, PCI_PRI_STATUS_STOPPED | PCI_PRI_STATUS_PASID, 0);
	config_put(priv, at + PCI_PRI_MAX_REQ, 4, 512, 0);
}

/* 7.8.9 */
static void ext_pasid(struct pci_priv *priv, struct cap_chain *chain)
{
	const struct pci_dev *pdev = priv->pdev;
	u32 at = priv->caps.pasid =
		ext_put(priv, chain, PCI_EXT_CAP_ID_PASID, 1, PCI_EXT_CAP_PASID_SIZEOF);

	config_put(priv, at + PCI_PASID_CAP, 2,
		   (u32)pdev->desc->pasid_bits << 8 |
			   (pdev->dev.pasid_exec ? PCI_PASID_CAP_EXEC : 0) |
			   (pdev->dev.pasid_priv ? PCI_PASID_CAP_PRIV : 0),
		   0);
	config_put(priv, at + PCI_PASID_CTRL, 2, pdev->dev.max_pasids ? PCI_PASID_CTRL_ENABLE : 0,
		   0);
}

/* 9.3.3 */
static void ext_sriov(struct pci_priv *priv, struct cap_chain *chain)
{
	const struct pci_desc *desc = priv->pdev->desc;
	u32 at = priv->caps.sriov =
		ext_put(priv, chain, PCI_EXT_CAP_ID_SRIOV, 1, PCI_EXT_CAP_SRIOV_SIZEOF);
	u32 num_vfs = atomic_load_explicit(&priv->shown_vfs, memory_order_relaxed);

	config_put(priv, at + PCI_SRIOV_INITIAL_VF, 2, desc->sriov_vfs, 0);
	config_put(priv, at + PCI_SRIOV_TOTAL_VF, 2, desc->sriov_vfs, 0);
	config_put(priv, at + PCI_SRIOV_CTRL, 2,
		   num_vfs ? PCI_SRIOV_CTRL_VFE | PCI_SRIOV_CTRL_MSE : 0, 0);
	config_put(priv, at + PCI_SRIOV_NUM_VF, 2, num_vfs, 0);
	config_put(priv, at + PCI_SRIOV_FUNC_LINK, 1, priv->pdev->addr.devfn & 7U, 0);
	config_put(priv, at + PCI_SRIOV_VF_OFFSET, 2,
		   (u32)(priv->first_vf - priv->pdev->addr.devfn), 0);
	config_put(priv, at + PCI_SRIOV_VF_STRIDE, 2, 1, 0);
	config_put(priv, at + PCI_SRIOV_VF_DID, 2, desc->vf->device, 0);
	config_put(priv, at + PCI_SRIOV_SUP_PGSIZE, 4, 1, 0);
	config_put(priv, at + PCI_SRIOV_SYS_PGSIZE, 4, 1, 0);
	for (u32 i = 0; i < PCI_BARS; i++)
		config_bar_put(priv, at + PCI_SRIOV_BAR + 4 * i, &desc->vf->bars[i],
			       priv->vf_address[i], false);
}

/* 7.7.11: nothing passes between functions of the device */
static void ext_acs(struct pci_priv *priv, struct cap_chain *chain)
{
	u32 at = priv->caps.acs = ext_put(priv, chain, PCI_EXT_CAP_ID_ACS, 1, 8);
	u32 all = PCI_ACS_RR | PCI_ACS_CR | PCI_ACS_DT;

	config_put(priv, at + PCI_ACS_CAP, 2, all, 0);
	config_put(priv, at + PCI_ACS_CTRL, 2, all, 0);
}

static void caps_build_ext(struct pci_priv *priv)
{
	const struct pci_desc *desc = priv->pdev->desc;
	struct cap_chain chain = {.next = EXT_FIRST};

	ext_aer(priv, &chain);
	if (desc->acs)
		ext_acs(priv, &chain);
	if (desc->ats)
		ext_ats(priv, &chain);
	if (desc->pri)
		ext_pri(priv, &chain);
	if (desc->pasid_bits)
		ext_pasid(priv, &chain);
	if (desc->sriov_vfs)
		ext_sriov(priv, &chain);
}

void caps_build(struct pci_priv *priv)
{
	const struct pci_desc *desc = priv->pdev->desc;
	struct cap_chain chain = {.next = CAP_FIRST, .link = PCI_CAPABILITY_LIST};

	priv->caps = (struct pci_caps){0};
	if (desc->has_pm)
		cap_pm(priv, &chain);
	if (desc->msi_vectors)
		cap_msi(priv, &chain);
	if (desc->msix_vectors)
		cap_msix(priv, &chain);
	if (desc->has_pcie)
		cap_exp(priv, &chain);
	if (chain.link != PCI_CAPABILITY_LIST)
		config_put(priv, PCI_STATUS, 2, PCI_STATUS_CAP_LIST, 0);
	if (desc->has_pcie)
		caps_build_ext(priv);
}
