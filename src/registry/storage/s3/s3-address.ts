import { encodeRfc3986 } from './signature-v4.ts';

export interface S3AddressOptions {
  readonly bucket: string;
  readonly region: string;
  /** Of a store that is not Amazon's, with or without a scheme. */
  readonly regionendpoint: string | undefined;
  /** Undefined: as docker distribution 2 did, with a `regionendpoint`. */
  readonly forcepathstyle: boolean | undefined;
  readonly secure: boolean;
  readonly usedualstack: boolean;
  readonly accelerate: boolean;
  readonly usefipsendpoint: boolean;
}

/** Names in DNS of the partitions of Amazon, by the beginning of their regions. */
const PARTITIONS: readonly (readonly [region: RegExp, domain: string])[] = [
  [/^cn-/, 'amazonaws.com.cn'],
  [/^us-isob-/, 'sc2s.sgov.gov'],
  [/^us-isof-/, 'csp.hci.ic.gov'],
  [/^us-iso-/, 'c2s.ic.gov'],
  [/^eu-isoe-/, 'cloud.adc-e.uk'],
  [/^eusc-/, 'amazonaws.eu'],
];

/** The domain that the hosts of Amazon's services in a region end in. */
export function amazonDomain(region: string): string {
  return PARTITIONS.find(([pattern]) => pattern.test(region))?.[1] ?? 'amazonaws.com';
}

/** Where the objects of a bucket are. */
export interface BucketAddress {
  /** Whether it is spoken to by TLS. */
  readonly isSecure: boolean;
  /** The URL of an object, or of the bucket when the key is empty. */
  url(key: string, query?: string): URL;
  /** What names an object as the source of a copy. */
  copySource(key: string): string;
}

/** The address of a bucket of Amazon S3, or of a store that has the same ones. */
export class S3Address implements BucketAddress {
  /** Ends in a slash. */
  readonly #base: string;
  readonly #bucket: string;
  /** `host/bucket/key` instead of `bucket.host/key`. */
  readonly isPathStyle: boolean;
  readonly isSecure: boolean;

  constructor(options: S3AddressOptions) {
    const { bucket, regionendpoint, forcepathstyle } = options;
    const endpoint = new URL(withScheme(regionendpoint ?? amazonHost(options), options.secure));
    this.#bucket = bucket;
    this.isSecure = endpoint.protocol === 'https:';
    this.isPathStyle =
      (forcepathstyle ?? regionendpoint !== undefined) || !isHostLabel(bucket, this.isSecure);
    if (!this.isPathStyle) endpoint.hostname = `${bucket}.${endpoint.hostname}`;
    const folder = endpoint.pathname.replace(/\/+$/, '');
    this.#base = `${endpoint.origin}${folder}${this.isPathStyle ? `/${bucket}` : ''}/`;
  }

  url(key: string, query = ''): URL {
    const url = new URL(this.#base + encodeKey(key));
    url.search = query;
    return url;
  }

  /** The path as if it were in path style, which is what old signatures want. */
  resource(url: URL): string {
    return this.isPathStyle ? url.pathname : `/${this.#bucket}${url.pathname}`;
  }

  copySource(key: string): string {
    return `${this.#bucket}/${encodeKey(key)}`;
  }
}

/** A key as it stands in a URL. */
export function encodeKey(key: string): string {
  return key.split('/').map(encodeRfc3986).join('/');
}

function amazonHost(options: S3AddressOptions): string {
  const { region, usedualstack, accelerate, usefipsendpoint } = options;
  const domain = amazonDomain(region);
  if (accelerate) return `s3-accelerate.${usedualstack ? 'dualstack.' : ''}${domain}`;
  return `${usefipsendpoint ? 's3-fips' : 's3'}.${usedualstack ? 'dualstack.' : ''}${region}.${domain}`;
}

function withScheme(endpoint: string, secure: boolean): string {
  return /^https?:\/\//.test(endpoint) ? endpoint : `${secure ? 'https' : 'http'}://${endpoint}`;
}

/** Whether a bucket's name can be a part of a host's; with TLS a dot would not fit the certificate. */
function isHostLabel(bucket: string, secure: boolean): boolean {
  return /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(bucket) && !(secure && bucket.includes('.'));
}
