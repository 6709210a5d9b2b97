// How a record is kept as a document.

import { Digest } from '../common/records.mjs';

export const toDocument = ({ id, ...fields }) => ({ _id: id, ...fields });

/** What is in a database, read in batches. */
export async function allDocuments(db) {
  const digest = new Digest();
  let after = '';
  for (;;) {
    const { rows } = await db.allDocs({ include_docs: true, limit: 5_000, startkey: `${after}\u0000` });
    for (const { doc } of rows) digest.add({ ...doc, id: doc._id });
    if (rows.length === 0) return digest;
    after = rows.at(-1).id;
  }
}
