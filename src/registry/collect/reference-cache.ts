import type { Digest } from '../../oci/digest.ts';
import { DigestList } from './digest-list.ts';
import type { References } from './references.ts';

interface Packed {
  readonly blobs: DigestList;
  readonly manifests: DigestList | undefined;
  readonly subject: Digest | undefined;
}

/**
 * What manifests refer to, by canonical digest, kept between two marks of one run so that the second reads only what is
 * new. Packed, since there may be millions of references.
 */
export class ReferenceCache {
  readonly #packed = new Map<Digest, Packed>();

  get(canonical: Digest): References | undefined {
    const packed = this.#packed.get(canonical);
    if (packed === undefined) return undefined;
    return {
      blobs: [...packed.blobs],
      manifests: [...(packed.manifests ?? [])],
      ...(packed.subject && { subject: packed.subject }),
    };
  }

  set(canonical: Digest, { blobs, manifests, subject }: References): void {
    this.#packed.set(canonical, {
      blobs: listOf(blobs),
      manifests: manifests.length > 0 ? listOf(manifests) : undefined,
      subject,
    });
  }
}

function listOf(digests: readonly Digest[]): DigestList {
  const list = new DigestList(digests.length);
  for (const digest of digests) list.push(digest);
  return list;
}
