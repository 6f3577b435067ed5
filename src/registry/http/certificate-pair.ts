import { createHash, createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';

/** A certificate with its key that fit each other. */
export interface CertificatePair {
  /** PEM: the certificate, then its intermediates. */
  readonly cert: Buffer;
  readonly key: Buffer;
  /** Lower-case hex. */
  readonly serial: string;
  /** RFC 3339, UTC. */
  readonly notAfter: string;
  /** Of both files, to tell whether they changed. */
  readonly hash: string;
}

/** Why two files are no pair, in words for an administrator. */
export class CertificatePairError extends Error {
  override readonly name = 'CertificatePairError';
  /** Of both files as they were, so that the same mistake is told once. */
  readonly hash: string;
  constructor(message: string, hash: string, cause?: unknown) {
    super(message, { cause });
    this.hash = hash;
  }
}

/**
 * Reads both files and checks that they belong together.
 * @throws CertificatePairError
 */
export async function readCertificatePair(
  certificateFile: string,
  keyFile: string,
): Promise<CertificatePair> {
  const [cert, key] = await Promise.all([read(certificateFile), read(keyFile)]);
  const hash = createHash('sha256').update(cert).update(key).digest('hex');
  const certificate = parse(() => new X509Certificate(cert), `${certificateFile} holds no certificate`, hash);
  const privateKey = parse(() => createPrivateKey(key), `${keyFile} holds no private key`, hash);
  if (!certificate.checkPrivateKey(privateKey)) {
    throw new CertificatePairError(`the key of ${keyFile} is not the one of ${certificateFile}`, hash);
  }
  return {
    cert,
    key,
    serial: certificate.serialNumber.toLowerCase(),
    notAfter: certificate.validToDate.toISOString(),
    hash,
  };
}

async function read(file: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
    throw new CertificatePairError(`${file} cannot be read: ${code}`, `${file} ${code}`, error);
  }
}

function parse<T>(construct: () => T, message: string, hash: string): T {
  try {
    return construct();
  } catch (error) {
    throw new CertificatePairError(message, hash, error);
  }
}
