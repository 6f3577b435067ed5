import type { Registry } from '../api/registry.ts';
import { STORAGE_ROOT } from '../contract/places.ts';

type Storage = Registry['spec']['storage'];

/**
 * The section of the storage driver in the server's configuration. Credentials are no part of it: they come as
 * variables of the environment (credentials.ts), or from the platform.
 */
export function driverConfig({ s3, azure, gcs, swift, oss }: Storage) {
  if (s3 !== undefined) {
    return {
      s3: defined({
        bucket: s3.bucket,
        region: s3.region,
        regionendpoint: s3.endpoint,
        forcepathstyle: s3.forcePathStyle,
        rootdirectory: s3.rootDirectory,
        encrypt: s3.encrypt,
        keyid: s3.kmsKeyID,
        storageclass: s3.storageClass && LOWER_CASE[s3.storageClass],
      }),
    };
  }
  if (azure !== undefined) {
    const { clientID, tenantID } = azure;
    return {
      azure: defined({
        accountname: azure.accountName,
        container: azure.container,
        rootdirectory: azure.rootDirectory,
        realm: azure.realm,
        serviceurl: azure.serviceURL,
        ...((clientID !== undefined || tenantID !== undefined) && {
          credentials: defined({ clientid: clientID, tenantid: tenantID }),
        }),
      }),
    };
  }
  if (gcs !== undefined) {
    return { gcs: defined({ bucket: gcs.bucket, rootdirectory: gcs.rootDirectory }) };
  }
  if (swift !== undefined) {
    return {
      swift: defined({
        authurl: swift.authURL,
        authversion: swift.authVersion,
        container: swift.container,
        prefix: swift.prefix,
        tenant: swift.tenant,
        tenantdomain: swift.tenantDomain,
        domain: swift.domain,
        region: swift.region,
        endpointtype: swift.endpointType,
      }),
    };
  }
  if (oss !== undefined) {
    return {
      oss: defined({
        bucket: oss.bucket,
        region: oss.region,
        endpoint: oss.endpoint,
        internal: oss.internal,
        rootdirectory: oss.rootDirectory,
        encrypt: oss.encrypt,
      }),
    };
  }
  return { filesystem: { rootdirectory: STORAGE_ROOT } };
}

/** As the server's configuration names the classes; of two spellings that it takes, the one that it shows. */
const LOWER_CASE = {
  STANDARD: 'standard',
  STANDARD_IA: 'standard_ia',
  ONEZONE_IA: 'onezone_ia',
  INTELLIGENT_TIERING: 'intelligent_tiering',
  REDUCED_REDUNDANCY: 'reduced_redundancy',
  GLACIER_IR: 'glacier_ir',
  OUTPOSTS: 'outposts',
  EXPRESS_ONEZONE: 'express_onezone',
} as const;

/** Without the fields that are undefined, which YAML has no word for. */
export function defined<T extends object>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  // What is left out is what the type now calls optional.
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}
