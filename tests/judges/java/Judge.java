// Bouncy Castle's opinion. One question per line: a word and file names of DER, with tabs between.
// One answer per line: "ok", "ok <status>" or "no <reason>".

import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.InputStreamReader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.Security;
import java.security.Signature;
import java.security.cert.Certificate;
import java.security.cert.CertPathValidator;
import java.security.cert.CertStore;
import java.security.cert.CertificateFactory;
import java.security.cert.CollectionCertStoreParameters;
import java.security.cert.PKIXParameters;
import java.security.cert.TrustAnchor;
import java.security.cert.X509CRL;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Date;
import java.util.List;
import java.util.Set;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cert.jcajce.JcaX509CertificateHolder;
import org.bouncycastle.cert.ocsp.BasicOCSPResp;
import org.bouncycastle.cert.ocsp.CertificateStatus;
import org.bouncycastle.cert.ocsp.OCSPResp;
import org.bouncycastle.cert.ocsp.RevokedStatus;
import org.bouncycastle.cert.ocsp.SingleResp;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.operator.ContentVerifierProvider;
import org.bouncycastle.operator.jcajce.JcaContentVerifierProviderBuilder;
import org.bouncycastle.operator.jcajce.JcaDigestCalculatorProviderBuilder;
import org.bouncycastle.pkcs.PKCS10CertificationRequest;

public class Judge {
    private static final String OCSP_SIGNING = "1.3.6.1.5.5.7.3.9";

    public static void main(String[] none) throws Exception {
        Security.addProvider(new BouncyCastleProvider());
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            System.out.println(answer(line.split("\t")));
            System.out.flush();
        }
    }

    private static String answer(String[] question) {
        try {
            return switch (question[0]) {
                case "path" -> path(question);
                case "crl" -> crl(question[1], question[2]);
                case "ocsp" -> ocsp(question[1], question[2], question[3]);
                case "csr" -> csr(question[1]);
                case "pkcs12" -> pkcs12(question[1], question[2]);
                default -> throw new IllegalArgumentException("no such question: " + question[0]);
            };
        } catch (Exception refusal) {
            return ("no " + refusal).replaceAll("\\s+", " ");
        }
    }

    // path root [between...] end [*.crl...]: PKIX validation; with CRLs also revocation.
    private static String path(String[] question) throws Exception {
        List<X509Certificate> certificates = new ArrayList<>();
        List<X509CRL> crls = new ArrayList<>();
        for (int i = 1; i < question.length; i++) {
            if (question[i].endsWith(".crl")) {
                crls.add(readCrl(question[i]));
            } else {
                certificates.add(read(question[i]));
            }
        }
        X509Certificate root = certificates.remove(0);
        root.verify(root.getPublicKey(), "BC");
        Collections.reverse(certificates);
        PKIXParameters parameters = new PKIXParameters(Set.of(new TrustAnchor(root, null)));
        parameters.setRevocationEnabled(!crls.isEmpty());
        parameters.addCertStore(CertStore.getInstance(
            "Collection", new CollectionCertStoreParameters(crls), "BC"));
        CertPathValidator.getInstance("PKIX", "BC")
            .validate(factory().generateCertPath(certificates), parameters);
        return "ok";
    }

    private static String crl(String issuer, String crl) throws Exception {
        X509CRL list = readCrl(crl);
        X509Certificate signer = read(issuer);
        require(signer.getSubjectX500Principal().equals(list.getIssuerX500Principal()), "another issuer");
        list.verify(signer.getPublicKey(), "BC");
        Date now = new Date();
        require(!now.before(list.getThisUpdate()) && now.before(list.getNextUpdate()), "not current");
        return "ok";
    }

    // The signer is the issuer itself, or was delegated by it: RFC 6960, 4.2.2.2.
    private static String ocsp(String issuerFile, String subjectFile, String responseFile) throws Exception {
        X509CertificateHolder issuer = new JcaX509CertificateHolder(read(issuerFile));
        X509CertificateHolder subject = new JcaX509CertificateHolder(read(subjectFile));
        OCSPResp response = new OCSPResp(bytes(responseFile));
        require(response.getStatus() == OCSPResp.SUCCESSFUL, "status " + response.getStatus());
        BasicOCSPResp basic = (BasicOCSPResp) response.getResponseObject();

        X509CertificateHolder signer = issuer;
        if (basic.getCerts().length > 0) {
            signer = basic.getCerts()[0];
            require(signer.getIssuer().equals(issuer.getSubject()), "delegated by another issuer");
            require(signer.isSignatureValid(verifier(issuer)), "the delegation's signature");
            require(signer.isValidOn(new Date()), "the delegation is not valid now");
            require(factory().generateCertificate(new ByteArrayInputStream(signer.getEncoded()))
                instanceof X509Certificate delegated && delegated.getExtendedKeyUsage() != null
                && delegated.getExtendedKeyUsage().contains(OCSP_SIGNING), "not delegated to sign answers");
        }
        require(basic.isSignatureValid(verifier(signer)), "the answer's signature");

        for (SingleResp single : basic.getResponses()) {
            boolean ours = single.getCertID().getSerialNumber().equals(subject.getSerialNumber())
                && single.getCertID().matchesIssuer(issuer,
                    new JcaDigestCalculatorProviderBuilder().setProvider("BC").build());
            if (!ours) {
                continue;
            }
            Date now = new Date();
            require(!now.before(single.getThisUpdate()), "from the future");
            require(single.getNextUpdate() == null || now.before(single.getNextUpdate()), "out of date");
            if (single.getCertStatus() == CertificateStatus.GOOD) {
                return "ok good";
            }
            return single.getCertStatus() instanceof RevokedStatus ? "ok revoked" : "ok unknown";
        }
        throw new IllegalStateException("nothing about this certificate");
    }

    private static String csr(String file) throws Exception {
        PKCS10CertificationRequest request = new PKCS10CertificationRequest(bytes(file));
        require(request.isSignatureValid(new JcaContentVerifierProviderBuilder().setProvider("BC")
            .build(request.getSubjectPublicKeyInfo())), "the proof of possession");
        return "ok";
    }

    private static ContentVerifierProvider verifier(X509CertificateHolder holder) throws Exception {
        return new JcaContentVerifierProviderBuilder().setProvider("BC").build(holder);
    }

    private static void require(boolean holds, String otherwise) {
        if (!holds) {
            throw new IllegalStateException(otherwise);
        }
    }

    private static CertificateFactory factory() throws Exception {
        return CertificateFactory.getInstance("X.509", "BC");
    }

    private static X509Certificate read(String file) throws Exception {
        return (X509Certificate) factory().generateCertificate(new ByteArrayInputStream(bytes(file)));
    }

    private static X509CRL readCrl(String file) throws Exception {
        return (X509CRL) factory().generateCRL(new ByteArrayInputStream(bytes(file)));
    }

    private static byte[] bytes(String file) throws Exception {
        return Files.readAllBytes(Path.of(file));
    }

    // pkcs12 file password: the MAC, the key against its certificate; "ok" and the chain's length.
    private static String pkcs12(String file, String password) throws Exception {
        KeyStore store = KeyStore.getInstance("PKCS12", "BC");
        char[] secret = Files.readString(Path.of(password)).toCharArray();
        try (var in = Files.newInputStream(Path.of(file))) {
            store.load(in, secret);
        }
        String alias = Collections.list(store.aliases()).get(0);
        PrivateKey key = (PrivateKey) store.getKey(alias, secret);
        Certificate[] chain = store.getCertificateChain(alias);
        String kind = key.getAlgorithm();
        String algorithm = kind.equals("RSA") ? "SHA256withRSA" : "SHA256withECDSA";
        Signature signature = Signature.getInstance(algorithm, "BC");
        signature.initSign(key);
        signature.update(chain[0].getEncoded());
        byte[] signed = signature.sign();
        signature.initVerify(chain[0].getPublicKey());
        signature.update(chain[0].getEncoded());
        if (!signature.verify(signed)) {
            throw new IllegalArgumentException("the key is not the certificate's");
        }
        return "ok " + chain.length;
    }
}
