import { randomBytes } from 'node:crypto';
import { cephGateway } from './ceph-gateway.ts';

/** What goes below `storage.swift` in a configuration, also of docker distribution: a container of its own. */
export type SwiftSettings = Readonly<
  Record<'authurl' | 'username' | 'password' | 'container' | 'secretkey', string>
>;

/**
 * A container of the Ceph gateway that nobody has used, for as long as that runs. A gateway has one key of temporary URLs
 * for each account, so all tests have the same.
 */
export async function swiftContainer(path: '/auth/v1' | '/auth/v1.0' = '/auth/v1'): Promise<SwiftSettings> {
  const { url, swiftUser, swiftKey } = await cephGateway();
  return {
    authurl: url + path,
    username: swiftUser,
    password: swiftKey,
    container: `registry-${randomBytes(8).toString('hex')}`,
    secretkey: 'key-of-temporary-urls',
  };
}
