import { API_VERSION, hmac, type SharedKey } from './shared-key.ts';

/** What one blob may be used for, by whoever has the URL. */
export interface Grant {
  readonly permission: 'r' | 'd';
  /** Milliseconds since the epoch; whole seconds count. */
  readonly startsAt?: number;
  readonly endsAt: number;
  /** Where plain HTTP would give the signature away. */
  readonly httpsOnly: boolean;
}

export interface BlobName {
  readonly account: string;
  readonly container: string;
  readonly blob: string;
}

/** A key that Azure lends to an identity. https://learn.microsoft.com/rest/api/storageservices/get-user-delegation-key */
export interface UserDelegationKey {
  readonly signedObjectId: string;
  readonly signedTenantId: string;
  readonly signedStart: string;
  readonly signedExpiry: string;
  readonly signedService: string;
  readonly signedVersion: string;
  /** Base64. */
  readonly value: string;
}

/** `2026-01-01T00:00:00Z` */
export function isoSeconds(milliseconds: number): string {
  return `${new Date(milliseconds).toISOString().slice(0, 19)}Z`;
}

/**
 * The query of a URL that grants something on one blob, signed with the account's key.
 * https://learn.microsoft.com/rest/api/storageservices/create-service-sas, version 2020-12-06 and later.
 */
export function serviceSignature(name: BlobName, grant: Grant, { key }: SharedKey): URLSearchParams {
  const { fields, resource } = described(name, grant);
  const text = [
    fields.sp,
    fields.st,
    fields.se,
    resource,
    '', // si: no stored policy
    ...tail(fields),
  ].join('\n');
  return query(fields, hmac(key, text));
}

/**
 * As `serviceSignature`, signed with a key that Azure lent to our identity.
 * https://learn.microsoft.com/rest/api/storageservices/create-user-delegation-sas, version 2020-12-06 and later.
 */
export function delegatedSignature(name: BlobName, grant: Grant, key: UserDelegationKey): URLSearchParams {
  const { fields, resource } = described(name, grant);
  const signer = {
    skoid: key.signedObjectId,
    sktid: key.signedTenantId,
    skt: key.signedStart,
    ske: key.signedExpiry,
    sks: key.signedService,
    skv: key.signedVersion,
  };
  const text = [
    fields.sp,
    fields.st,
    fields.se,
    resource,
    ...Object.values(signer),
    '', // saoid, suoid, scid: nobody else is checked
    '',
    '',
    ...tail(fields),
  ].join('\n');
  return query({ ...fields, ...signer }, hmac(key.value, text));
}

interface Fields {
  readonly sv: string;
  readonly sr: string;
  readonly sp: string;
  readonly st: string;
  readonly se: string;
  readonly spr: string;
}

function described(
  { account, container, blob }: BlobName,
  grant: Grant,
): { readonly fields: Fields; readonly resource: string } {
  return {
    resource: `/blob/${account}/${container}/${blob}`,
    fields: {
      sv: API_VERSION,
      sr: 'b',
      sp: grant.permission,
      st: grant.startsAt === undefined ? '' : isoSeconds(grant.startsAt),
      se: isoSeconds(grant.endsAt),
      spr: grant.httpsOnly ? 'https' : 'https,http',
    },
  };
}

/** Address range, protocol, version, resource, snapshot, encryption scope, and five headers of the answer. */
function tail({ spr, sv, sr }: Fields): readonly string[] {
  return ['', spr, sv, sr, '', '', '', '', '', '', ''];
}

function query(fields: object, signature: string): URLSearchParams {
  const given = Object.entries({ ...fields, sig: signature }).filter(([, value]) => value !== '');
  return new URLSearchParams(given);
}
