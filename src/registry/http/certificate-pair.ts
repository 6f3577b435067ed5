import { createHash, createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';

/** Where the certificate of a server and the authorities of its clients are. */
export interface CertificateFiles {
  readonly certificate: string;
  readonly key: string;
  readonly clientCas: readonly string[];
}

/** A certificate with its key that fit each other, and the authorities of client certificates. */
export interface CertificatePair {
  /** PEM: the certificate, then its intermediates. */
  readonly cert: Buffer;
  readonly key: Buffer;
  /** PEM, with one or more certificates each. */
  readonly clientCas: readonly Buffer[];
  /** Lower-case hex. */
  readonly serial: string;
  /** RFC 3339, UTC. */
  readonly notAfter: string;
  /** Of all files, to tell whether they changed. */
  readonly hash: string;
}

/** Why files cannot be used, in words for an administrator. */
export class CertificatePairError extends Error {
  override readonly name = 'CertificatePairError';
  /** Of the files as they were, so that the same mistake is told once. */
  readonly hash: string;
  constructor(message: string, hash: string, cause?: unknown) {
    super(message, { cause });
    this.hash = hash;
  }
}

/**
 * Reads the files and checks that certificate and key belong together.
 * @throws CertificatePairError
 */
export async function readCertificatePair(files: CertificateFiles): Promise<CertificatePair> {
  const [cert, key] = await Promise.all([read(files.certificate), read(files.key)]);
  const clientCas = await Promise.all(files.clientCas.map(read));
  const hash = hashOf([cert, key, ...clientCas]);
  const certificate = parse(
    () => new X509Certificate(cert),
    `${files.certificate} holds no certificate`,
    hash,
  );
  const privateKey = parse(() => createPrivateKey(key), `${files.key} holds no private key`, hash);
  if (!certificate.checkPrivateKey(privateKey)) {
    throw new CertificatePairError(`the key of ${files.key} is not the one of ${files.certificate}`, hash);
  }
  for (const [index, bytes] of clientCas.entries()) {
    parse(() => new X509Certificate(bytes), `${files.clientCas[index]} holds no certificate`, hash);
  }
  return {
    cert,
    key,
    clientCas,
    serial: certificate.serialNumber.toLowerCase(),
    notAfter: certificate.validToDate.toISOString(),
    hash,
  };
}

function hashOf(parts: readonly Buffer[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(`${part.length}:`).update(part);
  return hash.digest('hex');
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
