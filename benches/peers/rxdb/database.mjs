// The collection, which clients and the server keep alike in memory.

import { createRxDatabase } from 'rxdb/plugins/core';
import { getRxStorageMemory } from 'rxdb/plugins/storage-memory';

import { Digest } from '../common/records.mjs';

export async function openItems() {
  const database = await createRxDatabase({ name: 'bench', storage: getRxStorageMemory(), multiInstance: false });
  const { items } = await database.addCollections({
    items: {
      schema: {
        version: 0,
        primaryKey: 'id',
        type: 'object',
        properties: {
          id: { type: 'string', maxLength: 36 },
          name: { type: 'string' },
          description: { type: 'string' },
          quantity: { type: 'integer' },
          updated_at: { type: 'integer' },
        },
        required: ['id', 'name', 'description', 'quantity', 'updated_at'],
      },
    },
  });
  return items;
}

export async function digest(items) {
  return Digest.of((await items.find().exec()).map((item) => item.toJSON()));
}
