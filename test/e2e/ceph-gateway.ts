import { script } from './cluster.ts';

/** A Ceph object gateway on this machine: S3 at `url` in path style, Swift by auth version 1 below `url`/auth. */
export interface CephGateway {
  readonly url: string;
  readonly accessKey: string;
  readonly secretKey: string;
  /** `account:user`. */
  readonly swiftUser: string;
  readonly swiftKey: string;
}

/** Starts it unless it runs. `scripts/e2e` stops it at the end; after a test that was run alone, `scripts/ceph down` does. */
export async function cephGateway(): Promise<CephGateway> {
  const printed = await script('ceph', ['up']);
  const value = (name: string): string => {
    const found = new RegExp(`^ceph_${name}=(.+)$`, 'm').exec(printed)?.[1];
    if (found === undefined) throw new Error(`scripts/ceph up printed no ceph_${name}`);
    return found;
  };
  return {
    url: value('url'),
    accessKey: value('access_key'),
    secretKey: value('secret_key'),
    swiftUser: value('swift_user'),
    swiftKey: value('swift_key'),
  };
}
