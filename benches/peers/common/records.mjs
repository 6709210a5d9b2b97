// The records: the same as `Item` in benches/src/records.rs, number by number.

const MASK = (1n << 64n) - 1n;
const LETTERS = 'eeeaaaiiooutnnsrrlldhhmcgpbfwyvk';

/** SplitMix64, as in the Rust benchmarks. */
class Random {
  // One number of 64 bits and, in the same memory, its 8 bytes, the lowest first.
  #word = new BigUint64Array(1);
  #bytes = new Uint8Array(this.#word.buffer);
  #state;

  constructor(seed) {
    this.#state = ((BigInt(seed) * 0xd6e8feb86659fd93n) & MASK) ^ 0x5851f42d4c957f2dn;
  }

  next() {
    this.#state = (this.#state + 0x9e3779b97f4a7c15n) & MASK;
    let bits = this.#state;
    bits = ((bits ^ (bits >> 30n)) * 0xbf58476d1ce4e5b9n) & MASK;
    bits = ((bits ^ (bits >> 27n)) * 0x94d049bb133111ebn) & MASK;
    return bits ^ (bits >> 31n);
  }

  below(limit) {
    return Number(this.next() % BigInt(limit));
  }

  uuid() {
    const high = (this.next() & ~0xf000n) | 0x4000n;
    const low = (this.next() & (MASK >> 2n)) | (1n << 63n);
    const text = high.toString(16).padStart(16, '0') + low.toString(16).padStart(16, '0');
    return [text.slice(0, 8), text.slice(8, 12), text.slice(12, 16), text.slice(16, 20), text.slice(20)].join('-');
  }

  words(length) {
    let text = '';
    for (let at = 0; at < length; at += 1) {
      if (at % 8 === 0) this.#word[0] = this.next();
      const byte = this.#bytes[at % 8];
      const space = byte >> 5 === 0 && at > 0 && at + 1 < length;
      text += space ? ' ' : LETTERS[byte & 31];
    }
    return text;
  }
}

/** The record with this number. */
export function make(n) {
  const random = new Random(n);
  return {
    id: random.uuid(),
    name: random.words(20),
    description: random.words(120),
    quantity: random.below(10_000),
    updated_at: 1_700_000_000_000 + random.below(50_000_000_000),
  };
}

/** The same record after the one change that the benchmark makes. */
export function changed(n) {
  const record = make(n);
  return { ...record, quantity: record.quantity + 1, updated_at: record.updated_at + 1 };
}

/** The records with the numbers from `first` on, in batches, so that the making does not show in the memory. */
export function* batches(first, count, size = 1_000) {
  for (let at = first; at < first + count; at += size) {
    yield Array.from({ length: Math.min(size, first + count - at) }, (_, n) => make(at + n));
  }
}

/** Number and checksum of records in any order: whether every field of every one arrived. */
export class Digest {
  count = 0;
  sum = 0;

  static of(records) {
    const digest = new Digest();
    for (const record of records) digest.add(record);
    return digest;
  }

  add({ id, name, description, quantity, updated_at }) {
    const text = `${id}|${name}|${description}|${quantity}|${updated_at}`;
    let hash = 0x811c9dc5; // FNV-1a of 32 bits: a sum of a million of them is exact in a double
    for (let at = 0; at < text.length; at += 1) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
    this.count += 1;
    this.sum += hash >>> 0;
  }

  toString() {
    return `${this.count} records with checksum ${this.sum}`;
  }
}
