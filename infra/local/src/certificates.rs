//! A private certificate authority, and what it issues for the mail server on this machine.
//!
//! rcgen is used here and nowhere else. The authority's key is forgotten as soon as the leaves are signed: nothing more
//! can be issued in its name.

use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SanType,
};
use time::{Duration, OffsetDateTime};

/// Ten years: a stack on this machine is never renewed.
const VALID_FOR: Duration = Duration::days(3650);

/// Why there are no certificates.
#[derive(Debug, thiserror::Error)]
pub enum CertificatesError {
    /// A file could not be read or written.
    #[error("{}", path.display())]
    File {
        /// The file that was read or written.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A certificate could not be made.
    #[error("a certificate cannot be made")]
    Issue(#[from] rcgen::Error),
}

/// What is right or wrong with a leaf certificate. Each is served on a loopback address of its own, because a client
/// that connects to an IP address names no host in TLS by which a server could choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Leaf {
    /// Nothing is wrong: for `localhost` and 127.0.0.1, issued by our authority.
    Good,
    /// It expired yesterday.
    Expired,
    /// It comes from an authority that nobody trusts.
    Foreign,
    /// It is for another host.
    OtherHost,
}

impl Leaf {
    /// Every kind of leaf.
    pub const ALL: [Self; 4] = [Self::Good, Self::Expired, Self::Foreign, Self::OtherHost];

    /// The address on which it is served.
    #[must_use]
    pub const fn address(self) -> Ipv4Addr {
        match self {
            Self::Good => Ipv4Addr::LOCALHOST,
            Self::Expired => Ipv4Addr::new(127, 0, 0, 2),
            Self::Foreign => Ipv4Addr::new(127, 0, 0, 3),
            Self::OtherHost => Ipv4Addr::new(127, 0, 0, 4),
        }
    }

    const fn file_name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Expired => "expired",
            Self::Foreign => "foreign",
            Self::OtherHost => "other-host",
        }
    }
}

/// The PEM files of an authority and its leaves, in one folder.
#[derive(Debug, Clone)]
pub struct Certificates {
    dir: PathBuf,
}

impl Certificates {
    /// The certificates in `dir`, made there unless they exist.
    ///
    /// # Errors
    /// When a file cannot be read or written.
    pub fn ensure(dir: &Path) -> Result<Self, CertificatesError> {
        let certificates = Self { dir: dir.to_path_buf() };
        // The authority is written last, so that where it is, all is.
        if !certificates.authority().exists() {
            fs::create_dir_all(dir).map_err(at(dir))?;
            certificates.issue()?;
        }
        Ok(certificates)
    }

    /// The authority's certificate: what a client has to trust.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.dir.join("authority.pem")
    }

    /// The authority's certificate as PEM text.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn authority_pem(&self) -> Result<String, CertificatesError> {
        let path = self.authority();
        fs::read_to_string(&path).map_err(at(&path))
    }

    /// The PEM file with the certificate of a leaf.
    #[must_use]
    pub fn certificate(&self, leaf: Leaf) -> PathBuf {
        self.dir.join(leaf.file_name()).with_extension("pem")
    }

    /// A leaf's private key (PKCS #8).
    #[must_use]
    pub fn key(&self, leaf: Leaf) -> PathBuf {
        self.dir.join(leaf.file_name()).with_extension("key")
    }

    fn issue(&self) -> Result<(), CertificatesError> {
        let (authority, issuer) = authority("Mailroom on this machine")?;
        let (_, stranger) = authority_of_strangers()?;
        for leaf in Leaf::ALL {
            let key = KeyPair::generate()?;
            let issuer = match leaf {
                Leaf::Good | Leaf::Expired | Leaf::OtherHost => &issuer,
                Leaf::Foreign => &stranger,
            };
            let certificate = params_of(leaf)?.signed_by(&key, issuer)?;
            write(&self.certificate(leaf), &certificate.pem(), Readers::All)?;
            write(&self.key(leaf), &key.serialize_pem(), Readers::Owner)?;
        }
        write(&self.authority(), &authority, Readers::All)
    }
}

fn authority(name: &str) -> Result<(String, Issuer<'static, KeyPair>), rcgen::Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name = named(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    valid(&mut params, Duration::ZERO);
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    Ok((certificate.pem(), Issuer::new(params, key)))
}

fn authority_of_strangers() -> Result<(String, Issuer<'static, KeyPair>), rcgen::Error> {
    authority("An authority that nobody trusts")
}

fn params_of(leaf: Leaf) -> Result<CertificateParams, rcgen::Error> {
    let names = match leaf {
        Leaf::Good | Leaf::Expired | Leaf::Foreign => vec!["localhost".to_owned()],
        Leaf::OtherHost => vec!["imap.another-host.example".to_owned()],
    };
    let mut params = CertificateParams::new(names)?;
    if leaf != Leaf::OtherHost {
        params.subject_alt_names.push(SanType::IpAddress(leaf.address().into()));
    }
    params.distinguished_name = named(leaf.file_name());
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let ended = if leaf == Leaf::Expired { VALID_FOR + Duration::days(2) } else { Duration::ZERO };
    valid(&mut params, ended);
    Ok(params)
}

fn named(name: &str) -> DistinguishedName {
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, name);
    subject
}

/// Valid from yesterday (clocks differ) for [`VALID_FOR`], all of it `earlier`.
fn valid(params: &mut CertificateParams, earlier: Duration) {
    params.not_before = OffsetDateTime::now_utc() - Duration::DAY - earlier;
    params.not_after = params.not_before + VALID_FOR;
}

/// Who may read a file.
#[derive(Clone, Copy)]
enum Readers {
    All,
    Owner,
}

fn write(path: &Path, text: &str, readers: Readers) -> Result<(), CertificatesError> {
    let mode = match readers {
        Readers::All => 0o644,
        Readers::Owner => 0o600,
    };
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(mode);
    let mut file = options.open(path).map_err(at(path))?;
    io::Write::write_all(&mut file, text.as_bytes()).map_err(at(path))
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> CertificatesError {
    let path = path.to_path_buf();
    move |source| CertificatesError::File { path, source }
}
