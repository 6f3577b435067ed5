import { X509Certificate, type KeyObject } from 'node:crypto';

/** Longer chains are no chains of anybody. */
const LONGEST_CHAIN = 8;

/** Signatures that are checked for one chain, as in Go: who sends one may make certificates that all sign each other. */
const MOST_CHECKS = 100;

/**
 * The key of the first certificate of an `x5c` header (RFC 7515 §4.1.6), if the certificates lead to a root.
 * @param x5c base64 of DER, the signer's certificate first, then its intermediates in any order.
 * @param now milliseconds since the epoch.
 */
export function keyOfChain(
  x5c: readonly string[],
  roots: readonly X509Certificate[],
  now: number,
): KeyObject | undefined {
  const certificates = x5c.slice(0, LONGEST_CHAIN).map(parse);
  const [leaf, ...intermediates] = certificates;
  if (leaf === undefined || intermediates.includes(undefined)) return undefined;
  const known = intermediates.filter((certificate) => certificate !== undefined);
  const path = { intermediates: known, roots, now, below: 0, checks: { left: MOST_CHECKS } };
  return leadsToRoot(leaf, path) ? leaf.publicKey : undefined;
}

function parse(text: string): X509Certificate | undefined {
  try {
    return new X509Certificate(Buffer.from(text, 'base64'));
  } catch {
    return undefined;
  }
}

interface Path {
  readonly intermediates: readonly X509Certificate[];
  readonly roots: readonly X509Certificate[];
  readonly now: number;
  /** Intermediates that were passed so far. */
  readonly below: number;
  /** Signatures that may still be checked, wherever the search is. */
  readonly checks: { left: number };
}

/** RFC 5280 §6.1 as far as it concerns a chain without names and policies. */
function leadsToRoot(certificate: X509Certificate, path: Path): boolean {
  const { intermediates, roots, now, below, checks } = path;
  if (now < certificate.validFromDate.getTime() || now > certificate.validToDate.getTime()) return false;
  if (roots.some(({ raw }) => raw.equals(certificate.raw))) return true;
  const isParent = (parent: X509Certificate): boolean =>
    parent.ca &&
    (pathLength(parent) ?? Number.POSITIVE_INFINITY) >= below &&
    certificate.checkIssued(parent) &&
    checks.left-- > 0 &&
    certificate.verify(parent.publicKey);
  const next = (parent: X509Certificate): boolean =>
    isParent(parent) &&
    leadsToRoot(parent, {
      ...path,
      intermediates: intermediates.filter((other) => other !== parent),
      below: below + 1,
    });
  return roots.some(next) || intermediates.some(next);
}

/**
 * pathLenConstraint of the basic constraints, RFC 5280 §4.2.1.9, which Node does not show: the extension's identifier, TRUE
 * if it is critical, and the sequence of TRUE and the number.
 */
function pathLength({ raw }: X509Certificate): number | undefined {
  const extension = /0603551d13(?:0101ff)?040830060101ff0201(..)/.exec(raw.toString('hex'));
  return extension === null ? undefined : Number.parseInt(extension[1] ?? '', 16);
}
