/** The tenant of an appliance that has one owner. Everything in the vault is kept, and asked for, under a tenant's id. */
export const ownerTenant = "owner";
