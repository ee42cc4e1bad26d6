# Mail::DKIM for dkim_peers.py: one JSON object per line in, one per line out.
use strict;
use warnings;
use JSON::PP;
use MIME::Base64;
use Mail::DKIM::Signer;
use Mail::DKIM::Verifier;
use Mail::DKIM::DNS;
use Net::DNS::RR;

my %zone;
{
    no warnings 'redefine';
    *Mail::DKIM::DNS::query = sub {
        my ($domain, $type) = @_;
        my $text = $zone{lc $domain};
        return unless defined $text;
        return Net::DNS::RR->new(name => $domain, type => 'TXT', txtdata => [$text]);
    };
}

$| = 1;
my $json = JSON::PP->new;
while (my $line = <STDIN>) {
    my $job = $json->decode($line);
    my $message = decode_base64($job->{message});
    my %answer;
    if ($job->{do} eq 'sign') {
        my $signer = Mail::DKIM::Signer->new(
            Algorithm => $job->{algorithm},
            Method    => $job->{method},
            Domain    => $job->{domain},
            Selector  => $job->{selector},
            KeyFile   => $job->{keyfile});
        $signer->PRINT($message);
        $signer->CLOSE;
        $answer{field} = encode_base64($signer->signature->as_string, '');
    } else {
        %zone = %{ $job->{zone} };
        my $verifier = Mail::DKIM::Verifier->new;
        $verifier->PRINT($message);
        $verifier->CLOSE;
        $answer{results} =
            [map { my $r = $_->result; my $d = $_->result_detail; "$r $d" } $verifier->signatures];
    }
    print $json->encode(\%answer), "\n";
}
