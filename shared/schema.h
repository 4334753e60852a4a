/* The store's schema: how many migrations this version knows. The coordinator writes it as the
 * store's user_version, `pleach version` tells it; the migrations are
 * coordinator/store/store_schema.c.
 */
#ifndef PLEACH_SCHEMA_H
#define PLEACH_SCHEMA_H

#define STORE_SCHEMA 12

#endif
