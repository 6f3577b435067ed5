import type { Decoded, ObjectField } from './fields.ts';

/** `storage.azure`: Azure Blob Storage. */
export const azureSection = {
  type: 'object',
  optional: true,
  namedByKey: true,
  description:
    'Stores in a container of Azure Blob Storage, in the layout of docker distribution. The account must have no hierarchical namespace.',
  fields: {
    accountname: {
      type: 'string',
      optional: true,
      description: 'Name of the storage account. Required unless `connectionstring` has it.',
    },
    accountkey: {
      type: 'string',
      optional: true,
      secret: true,
      description: 'A key of the storage account.',
    },
    container: { type: 'string', description: 'The container, which must exist.' },
    realm: {
      type: 'string',
      default: 'core.windows.net',
      description:
        "End of the service's host name: `core.chinacloudapi.cn`, `core.usgovcloudapi.net` for other clouds, whose identities need AZURE_AUTHORITY_HOST as well.",
    },
    serviceurl: {
      type: 'string',
      format: 'url',
      optional: true,
      description:
        'URL of the blob service, in place of `https://<accountname>.blob.<realm>`: a private endpoint, an emulator.',
    },
    connectionstring: {
      type: 'string',
      optional: true,
      secret: true,
      description:
        'As the portal shows it. Its AccountName, AccountKey, EndpointSuffix and BlobEndpoint stand for `accountname`, `accountkey`, `realm` and `serviceurl` where those are not given.',
    },
    credentials: {
      type: 'object',
      description: 'How to log in.',
      fields: {
        type: {
          type: 'string',
          values: ['client_secret', 'shared_key', 'default_credentials'],
          optional: true,
          description:
            '`shared_key` uses the account key, `client_secret` an application with its secret, `default_credentials` the identity of the platform: AZURE_CLIENT_SECRET, workload identity (AZURE_FEDERATED_TOKEN_FILE) or a managed identity. Without it the first of the three whose options are there.',
        },
        clientid: {
          type: 'string',
          optional: true,
          description: 'Application (client) ID, or that of a managed identity. Otherwise AZURE_CLIENT_ID.',
        },
        tenantid: {
          type: 'string',
          optional: true,
          description: 'Directory (tenant) ID. Otherwise AZURE_TENANT_ID.',
        },
        secret: { type: 'string', optional: true, secret: true, description: 'Secret of the application.' },
      },
    },
    rootdirectory: {
      type: 'string',
      default: '',
      description: 'Beginning of the names of all blobs.',
    },
    max_retries: {
      type: 'integer',
      minimum: -1,
      default: 5,
      zeroIsDefault: true,
      description:
        'How often a request that failed is sent again, and a copy that does not get on is looked at; -1 for never.',
    },
    retry_delay: {
      type: 'duration',
      default: '100ms',
      description: 'Time before the first retry; twice that before the second, and so on.',
    },
    skipverify: { type: 'boolean', default: false, description: 'Accepts any certificate.' },
  },
} as const satisfies ObjectField;

export type AzureOptions = Decoded<typeof azureSection>;

/** What is wrong with options that belong together, by the key within the section. */
export function azureProblems(options: AzureOptions): readonly { key: string; message: string }[] {
  const { credentials } = options;
  const connection = parseConnectionString(options.connectionstring ?? '');
  const problems: { key: string; message: string }[] = [];
  if (connection.has('sharedaccesssignature')) {
    const message = 'must hold AccountKey: a shared access signature cannot sign for clients';
    problems.push({ key: 'connectionstring', message });
  }
  const account = accountOf(options);
  if (account.name === undefined) problems.push({ key: 'accountname', message: 'is required' });
  const type = credentialsType(options);
  if (type === 'shared_key' && account.key === undefined) {
    problems.push({ key: 'accountkey', message: 'is required with shared_key' });
  }
  for (const name of type === 'client_secret' ? (['clientid', 'tenantid', 'secret'] as const) : []) {
    if (credentials[name] === undefined) {
      problems.push({ key: `credentials.${name}`, message: 'is required with client_secret' });
    }
  }
  if (account.key !== undefined && !/^[A-Za-z0-9+/]+={0,2}$/.test(account.key)) {
    problems.push({
      key: options.accountkey === undefined ? 'connectionstring' : 'accountkey',
      message: 'must have the key in Base64, as the portal shows it',
    });
  }
  return problems;
}

/** How to log in: what the options say, or what they have. */
export function credentialsType(
  options: AzureOptions,
): 'client_secret' | 'shared_key' | 'default_credentials' {
  const { type, secret } = options.credentials;
  if (type !== undefined) return type;
  if (accountOf(options).key !== undefined) return 'shared_key';
  return secret === undefined ? 'default_credentials' : 'client_secret';
}

/** The storage account, with what only the connection string tells. */
export function accountOf(options: AzureOptions): {
  readonly name: string | undefined;
  readonly key: string | undefined;
  readonly serviceUrl: string;
} {
  const connection = parseConnectionString(options.connectionstring ?? '');
  const name = options.accountname ?? connection.get('accountname');
  const protocol = connection.get('defaultendpointsprotocol') ?? 'https';
  const suffix = connection.get('endpointsuffix') ?? options.realm;
  return {
    name,
    key: options.accountkey ?? connection.get('accountkey'),
    serviceUrl:
      options.serviceurl ?? connection.get('blobendpoint') ?? `${protocol}://${name}.blob.${suffix}`,
  };
}

/** `Name=value;…`; values may hold `=`. */
function parseConnectionString(text: string): ReadonlyMap<string, string> {
  const pairs = text.split(';').map((part) => {
    const at = part.indexOf('=');
    return [part.slice(0, at).trim().toLowerCase(), part.slice(at + 1).trim()] as const;
  });
  return new Map(pairs.filter(([name]) => name !== ''));
}
